"""The vendor's sentences and numbers: which exception each becomes, and whether it is tried again.

Here belongs the reading of messages alone. What the client then does is `test_tushare_faults`.
"""

import pytest

from marketdata_assets.resources.tushare_errors import (
    BadRequest,
    BadToken,
    NoPermission,
    QuotaExhausted,
    RateLimited,
    RefusedError,
    TooManyAddresses,
    TushareError,
    Unavailable,
    error_for_message,
)

SEE = "权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"

TRIED_AGAIN: list[tuple[int, str, type[TushareError]]] = [
    # Try again later, whatever the number.
    (-1, "服务器错误(数据库异常)，请稍后再试！", Unavailable),
    (2003, "系统内部错误，请稍后再试", Unavailable),
    (40203, "服务器错误，请稍后再试！", Unavailable),
    (40201, "系统繁忙，请稍后重试", Unavailable),
    (40101, "token校验服务异常，请稍后再试", Unavailable),
    (40203, "权限校验失败，请稍后重试", Unavailable),
    (50101, "参数解析失败，请稍候再试", Unavailable),
    (12345, "开小差了，请过一会儿再试", Unavailable),
    (-1, "Please try again later.", Unavailable),
    (50101, "当日数据更新中，请稍后再试", Unavailable),
    (-1, "系统每天0点维护，请稍后再试", Unavailable),
    # The vendor's machines.
    (50101, "查询数据失败，请确认参数！Error 1054 Unknown column", Unavailable),
    (50101, "查询数据失败，请确认参数！", Unavailable),
    (50101, "查询超时", Unavailable),
    (-1, "系统繁忙", Unavailable),
    (-1, "系统内部错误", Unavailable),
    (-1, "服务器内部错误", Unavailable),
    (40203, "数据库异常", Unavailable),
    (40201, "数据库连接超时", Unavailable),
    (40204, "网络异常", Unavailable),
    (40101, "网络异常", Unavailable),
    (2002, "系统维护中", Unavailable),
    (2002, "服务暂时不可用", Unavailable),
    (-2001, "(1205, 'Lock wait timeout exceeded')", Unavailable),
    (-2001, "Internal Server Error", Unavailable),
    (50000, "", Unavailable),
    (50999, "新的错误", Unavailable),
    # Rates.
    (40203, "访问过于频繁，请稍后再试", RateLimited),
    (40203, "访问过于频繁", RateLimited),
    (-1, "请求过快", RateLimited),
    (40203, "抱歉，您访问接口(daily)频率超限(500次/分钟)", RateLimited),
    (-2002, f"抱歉，您每分钟最多访问该接口500次，{SEE}", RateLimited),
    (40203, "Too Many Requests", RateLimited),
]

FINAL: list[tuple[int, str, type[TushareError]]] = [
    (50101, "必填参数, ts_code", BadRequest),
    (50101, "查询数据失败，必填参数, ts_code", BadRequest),
    (50101, "缺少参数：trade_date", BadRequest),
    (50101, "参数错误", BadRequest),
    (50101, "系统参数ts_code不能为空", BadRequest),
    (12345, "新的错误", BadRequest),
    (40101, "您的token不对，请确认。", BadToken),
    (-1, "您的token不对，请检查后重试。", BadToken),
    (40001, "invalid api key", BadToken),
    (40101, "", BadToken),
    (40203, f"抱歉，您没有接口(daily)访问权限，{SEE}", NoPermission),
    (-2001, "抱歉，您的积分不足", NoPermission),
    (40203, "", NoPermission),
    (40203, "抱歉，您每天最多访问该接口5次", QuotaExhausted),
    (40203, "抱歉，您每天最多访问该接口5次，请稍后再试", QuotaExhausted),
    (40203, "抱歉，您访问接口(daily)频率超限(5次/天)", QuotaExhausted),
    (40203, "抱歉，您访问接口(daily)频率超限(1次/小时)", QuotaExhausted),
    (40203, "今日访问次数已达上限", QuotaExhausted),
    (40203, "今日额度已用完，请明天再试", QuotaExhausted),
    (40201, "no more", QuotaExhausted),
    (40204, "您的IP数量超限，最大数量为2个！", TooManyAddresses),
    (-1, "您的IP数量超限，最大数量为2个！", TooManyAddresses),
    (40204, "", TooManyAddresses),
]


@pytest.mark.parametrize(("code", "text", "expected"), TRIED_AGAIN + FINAL)
def test_a_sentence_of_the_vendor_becomes_its_exception(
    code: int, text: str, expected: type[TushareError]
) -> None:
    error = error_for_message("daily", {"trade_date": "20240304"}, code, text)
    assert type(error) is expected
    assert f"{code} «{text}»" in str(error)


def test_what_is_final_and_what_is_tried_again_are_kept_apart() -> None:
    assert not any(issubclass(expected, RefusedError) for *_, expected in TRIED_AGAIN)
    assert all(issubclass(expected, RefusedError) for *_, expected in FINAL)
