"""Everything that can go wrong with a Tushare call, one exception each, with the cure in its text.

Here belong the exceptions and the reading of the vendor's error messages. When to retry and when
to stop follows from the class and is decided in `tushare_client` and in the assets.
"""

from collections.abc import Mapping, Sequence


class TushareError(Exception):
    """A call failed. The text names the call, its parameters and what to do."""

    cure = ""

    def __init__(self, call: str, params: Mapping[str, object], what: str) -> None:
        self.call = call
        self.what = what
        shown = ", ".join(f"{name}={_shortened(value)}" for name, value in params.items())
        super().__init__(f"Tushare {call}({shown}): {what} {self.cure}".rstrip())

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (type(self), self.call, self.what, str(self)))


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

    cure = "The vendor has not published it yet; the run retries, later the sensor asks again."


class RefusedError(TushareError):
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


class SeveralDaysFailed(TushareError):
    """More than one day of a range failed; the others came through."""

    def __init__(self, errors: Sequence[TushareError]) -> None:
        shown = " | ".join(map(str, errors[:3]))
        super().__init__(errors[0].call, {}, f"{len(errors)} days failed: {shown}")


def error_for_message(
    call: str, params: Mapping[str, object], code: int, text: str
) -> TushareError:
    """The exception for an answer whose `code` is not 0.

    Quotas are tested before rates, for they can be told as a 频率 too; rates before permission,
    for the older rate message contains 权限. The numbers
    40201, 40203 and 40204 are shared by several causes, so the text decides and the number is
    the fallback.
    """
    what = f"the vendor answers {code} «{text}»."
    if any(span in text for span in ("每天", "每小时", "次/天", "次/小时")) or code == 40201:
        return QuotaExhausted(call, params, what)
    if any(sign in text for sign in ("每分钟", "次/分钟", "频率")):
        return RateLimited(call, params, what)
    if "IP数" in text or "IP地址" in text or code == 40204:
        return TooManyAddresses(call, params, what)
    if "token" in text.lower() or "api key" in text.lower() or code in (40001, 40101):
        return BadToken(call, params, what)
    if "权限" in text or code == 40203:
        return NoPermission(call, params, what)
    if code >= 50000 and "参数" not in text:
        return Unavailable(call, params, what)
    return BadRequest(call, params, what)


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}… ({text.count(',') + 1} values)"


def _rebuilt(kind: type[TushareError], call: str, what: str, text: str) -> TushareError:
    error = kind.__new__(kind, text)
    error.call, error.what = call, what
    error.args = (text,)
    return error
