"""Who has the answer already is told so, without a row being read, until something is restated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ADJ_FACTOR, DAILY_PRICES, INSTRUMENT_HISTORY
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    FUND,
    NEWEST,
    SHARES,
    history_of,
    prices_of,
    rows_of,
    store_world,
)

OHLCV, NAV, SECTION = "/api/v1/ohlcv", "/api/v1/etf/nav", "/api/v1/cross-section"
ASKED: list[tuple[str, dict[str, Any]]] = [
    (OHLCV, {"code": SHARES[0], "start": DAYS[0]}),
    (OHLCV, {"code": SHARES[0], "start": DAYS[0], "format": "arrow", "adjust": "qfq"}),
    (OHLCV, {"code": "HSI", "start": DAYS[0]}),
    (OHLCV, {"code": SHARES[0], "start": DAYS[0], "frequency": "W"}),
    (f"{OHLCV}/batch", {"codes": f"{SHARES[0]},HSI", "start": DAYS[0]}),
    (f"{OHLCV}/batch", {"codes": f"{SHARES[0]},HSI", "start": DAYS[0], "format": "arrow"}),
    (NAV, {"code": FUND, "start": DAYS[0]}),
    (SECTION, {"date": NEWEST}),
    (SECTION, {"date": NEWEST, "format": "parquet"}),
]


class CountingReader(PriceReader):
    """Counts the slices that are read."""

    slices = 0

    def ohlcv(self, code: str, *asked: Any) -> Slice:
        self.slices += 1
        return super().ohlcv(code, *asked)


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return store_world(tmp_path_factory.mktemp("restated"))


@pytest.fixture(scope="module")
def reader(restated: Lake) -> CountingReader:
    return CountingReader(restated.root)


@pytest.fixture(scope="module")
def client(restated: Lake, reader: CountingReader) -> Iterator[Client]:
    with served(restated.root, reader=reader, default_wait=0.1) as client:
        yield client


def etag_of(client: Client, path: str, asked: dict[str, Any]) -> str:
    answer = client.get(path, **asked)
    assert answer.headers["Cache-Control"] == "no-cache"
    return answer.headers["ETag"]


def having(client: Client, etag: str, path: str, asked: dict[str, Any]) -> Any:
    return client.session.get(client.url + path, params=asked, headers={"If-None-Match": etag})


@pytest.mark.parametrize(("path", "asked"), ASKED)
def test_who_has_it_is_told_so_without_a_row_being_read(
    client: Client, reader: CountingReader, path: str, asked: dict[str, Any]
) -> None:
    etag = etag_of(client, path, asked)
    read = reader.slices
    for named in (etag, f'"another", W/{etag}'):
        answer = having(client, named, path, asked)
        assert (answer.status_code, answer.content) == (304, b"")
        # As the answer itself would have told it, were it large.
        told = (answer.headers["ETag"], answer.headers["Vary"])
        assert told == (etag, "Accept-Encoding")
    assert reader.slices == read
    assert having(client, '"another"', path, asked).status_code == 200


@pytest.mark.parametrize(("path", "asked"), ASKED)
def test_who_wants_only_what_is_not_there_gets_nothing_of_what_is(
    client: Client, path: str, asked: dict[str, Any]
) -> None:
    etag = etag_of(client, path, asked)
    answer = having(client, "*", path, asked)
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)


def test_what_is_not_there_is_an_error_to_who_wants_only_that(client: Client) -> None:
    assert having(client, "*", SECTION, {"date": "2000-01-04"}).status_code == 404
    assert having(client, "*", OHLCV, {"code": SHARES[0], "fields": "nothing"}).status_code == 400


def test_another_question_is_another_answer(client: Client) -> None:
    etags = [etag_of(client, path, asked) for path, asked in ASKED]
    etags += [etag_of(client, OHLCV, ASKED[0][1] | {"fields": "close"})]
    assert len(set(etags)) == len(etags)


def test_what_was_restated_is_sent(client: Client, restated: Lake) -> None:
    before = {n: etag_of(client, *asked) for n, asked in enumerate(ASKED)}

    factors = rows_of(ADJ_FACTOR, 3, ts_code=SHARES, trade_date=[NEWEST] * 3, adj_factor=[4.0] * 3)
    restated.write(ADJ_FACTOR, NEWEST, factors)
    refresh(restated, ADJ_FACTOR)
    assert having(client, before[0], *ASKED[0]).status_code == 304
    assert having(client, before[1], *ASKED[1]).status_code == 200

    restated.write(DAILY_PRICES, NEWEST, prices_of(NEWEST, shift=1))
    refresh(restated, DAILY_PRICES)
    restated.write(INSTRUMENT_HISTORY, "HSI", history_of("HSI", DAYS, close=50))
    for number in (0, 2, 3, 4, 5, 7, 8):
        answer = having(client, before[number], *ASKED[number])
        assert answer.status_code == 200
        assert answer.headers.get("ETag") != before[number]


def test_an_answer_that_lacks_sessions_is_looked_at_each_time(tmp_path: Path) -> None:
    # Why they are absent is in the ledger, which no version of the series tells of.
    lake = store_world(tmp_path)
    lake.path(DAILY_PRICES, DAYS[5]).unlink()
    refresh(lake, DAILY_PRICES)
    with served(tmp_path) as client:
        around = {"code": SHARES[0], "start": DAYS[0]}
        assert etag_of(client, OHLCV, around | {"start": DAYS[6]})
        assert "ETag" not in client.get(OHLCV, **around).headers
