"""The family of errors: that every one is in it, and what it is to a run and to a client."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import dagster as dg
import pytest

import marketdata_assets
from marketdata_assets import errors
from marketdata_assets.api.errors import ApiError
from marketdata_assets.assets.asset_arguments import failing_at_once
from marketdata_assets.errors import MarketdataError
from marketdata_assets.serving.answers import NotByCode, NotStored, Slice
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.storage.lake import MissingPartitions
from marketdata_assets_tests.api.serving import served

# They never get further than to who expects them.
INTERNAL = {"DamagedRow", "HeadIsEnough", "TimeIsUp", "WaitTooLong"}

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")
for module in pkgutil.walk_packages(marketdata_assets.__path__, f"{marketdata_assets.__name__}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)


def below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


def kinds() -> list[type[MarketdataError]]:
    return [one for one in below(MarketdataError) if issubclass(one, MarketdataError)]


def saying(kind: type[MarketdataError]) -> MarketdataError:
    """An error of the kind, whatever it is usually made from."""
    return kind.__new__(kind, f"{kind.__name__} was met.")


def test_every_error_is_of_the_family_or_internal() -> None:
    others = {
        one.__name__
        for one in below(BaseException)
        if one.__module__.partition(".")[0] == marketdata_assets.__name__
        and not issubclass(one, MarketdataError | Warning)
        and not one.__name__.startswith("_")
    }
    assert others == INTERNAL


def test_the_picture_shows_the_family_as_it_is() -> None:
    shown, path = set(), [""]
    for line in (errors.__doc__ or "").splitlines():
        if line.startswith("    "):
            name, *marks = line.split()
            depth = (len(line) - len(line.lstrip())) // 2 - 1
            path[depth:] = [name]
            shown.add((name, path[depth - 1], *marks))
    actual: set[tuple[str, ...]] = {("MarketdataError", "", "500")}
    for kind in kinds():
        own = kind.__base__
        assert own is not None
        assert issubclass(own, MarketdataError)
        marks = [str(kind.status)] if kind.status != own.status else []
        marks += ["final"] if kind.is_final != own.is_final else []
        actual.add((kind.__name__, own.__name__, *marks))
    assert shown == actual


class Refusing(PriceReader):
    """Answers every question with `error`."""

    error: MarketdataError

    def ohlcv(self, *_: object) -> Slice:
        raise self.error


def test_the_status_of_every_error_reaches_clients(tmp_path: Path) -> None:
    reader = Refusing(tmp_path)
    with served(tmp_path, reader=reader) as client:
        # What is not stored is requested, and an endpoint's own answers say their status.
        for kind in set(kinds()) - {NotStored, NotByCode, ApiError}:
            reader.error = saying(kind)
            answer = client.get("/api/v1/ohlcv", code="HSI")
            assert answer.status_code == kind.status, kind
            told = {"error": f"{kind.__name__} was met."}
            unexpected = {"error": "Internal server error", "message": ANY}
            assert answer.json() == (unexpected if kind.status == 500 else told)
            assert ("Retry-After" in answer.headers) is (kind.status in (429, 503))


def attempts(error: Exception) -> int:
    made = []

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=1, delay=0))
    def failing() -> None:
        made.append(error)
        with failing_at_once():
            raise error

    @dg.job
    def doomed() -> None:
        failing()

    assert not doomed.execute_in_process(raise_on_error=False).success
    return len(made)


def test_a_run_tries_again_unless_the_error_is_final() -> None:
    assert MissingPartitions.is_final
    assert attempts(saying(MissingPartitions)) == 1
    assert attempts(saying(NotStored)) == 2
    assert attempts(ValueError("x")) == 2
