"""Everything that can go wrong with a Tushare call, one exception each, with the cure in its text.

Here belong the exceptions and the reading of the vendor's error messages. When to retry and when
to stop follows from the class and is decided in `tushare_client` and in the assets.
"""

import re
from collections.abc import Mapping

from marketdata_assets.errors import MarketdataError


class TushareError(MarketdataError):
    """A call failed. The text names the call, its parameters and what to do."""

    cure = ""

    def __init__(self, call: str, params: Mapping[str, object], what: str) -> None:
        self.call = call
        self.what = what
        shown = ", ".join(f"{name}={_shortened(value)}" for name, value in params.items())
        super().__init__(f"Tushare {call}({shown}): {what} {self.cure}".rstrip())


class Unavailable(TushareError):
    """The same call may succeed a little later."""

    cure = "Tried again several times; check the network and https://tushare.pro, then re-run."


class CallTimedOut(Unavailable):
    cure = "Tried again several times; the network or the vendor is slow, re-run later."


class UnreadableAnswer(Unavailable):
    cure = "Tried again several times; a proxy or the vendor garbles answers, re-run later."


class RateLimited(TushareError):
    cure = (
        "Waited for the next minute several times; lower TUSHARE_CALLS_PER_MINUTE or stop other "
        "programs that use this token."
    )


class NotPublishedYet(TushareError):
    """No row, or another day's rows, for a day that traded."""

    cure = "The vendor has not published it yet; it is asked for again by itself."


class RefusedError(TushareError, is_final=True):
    """Asking again won't help: somebody has to change something."""


class BadToken(RefusedError):
    cure = "Set TUSHARE_TOKEN to the token shown at https://tushare.pro/user/token."


class NoPermission(RefusedError):
    cure = (
        "The account's points don't open this call: see https://tushare.pro/document/1?doc_id=108."
    )


class QuotaExhausted(RefusedError):
    cure = (
        "The quota of this call for the hour or the day is used up: re-run when it is renewed, "
        "or raise the account's points."
    )


class TooManyAddresses(RefusedError):
    cure = "The token is used from too many IP addresses: stop the other machines, then re-run."


class BadRequest(RefusedError):
    cure = "The vendor refuses this form of the call: upgrade marketdata-assets or report it."


class HttpRefused(RefusedError):
    cure = "Check TUSHARE_URL: it must be the base of the API, to which the call's name is added."


class WrongAnswer(TushareError):
    """The answer can't be what was asked for; nothing of it is stored."""

    cure = "Nothing was stored. Re-run; if it stays, the vendor's data are broken: report it."


class MissingColumn(WrongAnswer):
    cure = (
        "Nothing was stored. The vendor changed the call: upgrade marketdata-assets or report it."
    )


class DuplicateRows(WrongAnswer):
    pass


class BadValue(WrongAnswer):
    pass


class Truncated(WrongAnswer):
    pass


# What a refusal says, in the order in which it is asked; texts of the vendor name several things at
# once. Quotas come before rates, for they can be told as a 频率 too; rates before permission, for
# the older rate message contains 权限. A limit of the account stays one though the vendor adds "try
# again later" to it: a refused call counts against the quota.
_GAP = r"[^，。！？：；,!?:;()（）\s]{0,4}?"
_SIGNS: tuple[tuple[type[TushareError], str], ...] = (
    (
        QuotaExhausted,
        r"次/(天|日|小时)|[每当今本单](天|日|小时)[^，。！]{0,12}?(最多|上限|超|限|次|用[完尽])"
        r"|(额度|次数|流量)(已经?)?用[完尽]|配额",
    ),
    (RateLimited, r"每分钟|每秒|次/分钟|次/秒|频率|频繁|过快|限流|too many requests|rate limit"),
    (TooManyAddresses, r"IP数|IP地址"),
    # Try again later, whatever number stands beside it.
    (
        Unavailable,
        r"稍[后候等]|过(一?会|段时间)|等(一?会|一下)|晚[些点]|\blater\b|in a (moment|while)",
    ),
    (BadRequest, r"必填|缺[少失]" + _GAP + "参数|参数" + _GAP + "(缺[少失]|不能为空)"),
    # A fault of the vendor's own machines, though the text may ask to check the parameters.
    (
        Unavailable,
        r"(系统|服务|后台|数据库|网络|网关)"
        + _GAP
        + r"(忙|错误|异常|故障|出错|失败|超时|维护|升级|不可用|中断|拥[堵挤]|开小差)"
        r"|(查询|获取|读取|连接|响应|执行|处理)" + _GAP + r"(超时|失败|异常|出错)"
        r"|(内部|未知)(错误|异常)|(请求|接口)(超时|异常|繁忙|维护)|维护中|升级中"
        r"|(internal|server|database|sql|network) ?error|time[d-]? ?out|\bbusy\b|unavailable"
        r"|bad gateway|connection (reset|refused|aborted|lost)|\berror \d{4}\b|unknown column"
        r"|deadlock",
    ),
    (BadToken, r"token|api key"),
    (NoPermission, r"权限|积分"),
)
# What a number says of a text that says nothing: 40201, 40203, 40204 and 50101 stand for several
# causes.
_NUMBERS: dict[int, type[TushareError]] = {
    40001: BadToken,
    40101: BadToken,
    40201: QuotaExhausted,
    40203: NoPermission,
    40204: TooManyAddresses,
}


def error_for_message(
    call: str, params: Mapping[str, object], code: int, text: str
) -> TushareError:
    """The exception for an answer whose `code` is not 0: the text decides, else the number."""
    what = f"the vendor answers {code} «{text}»."
    for kind, signs in _SIGNS:
        if re.search(signs, text, re.IGNORECASE):
            return kind(call, params, what)
    if code >= 50000 and "参数" not in text:
        return Unavailable(call, params, what)
    return _NUMBERS.get(code, BadRequest)(call, params, what)


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}… ({text.count(',') + 1} values)"
