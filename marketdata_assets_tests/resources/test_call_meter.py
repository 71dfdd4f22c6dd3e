"""What calls took, and what is said to have bound the work they were made for."""

import threading

import pytest

from marketdata_assets.resources.call_meter import Bottleneck, CallMeter, Calls, Stretch, bottleneck
from marketdata_assets.tables import DAILY_KLINE
from marketdata_assets_tests.resources.serving import DAY, WakefulTushare
from marketdata_assets_tests.resources.spoiling import spoil
from marketdata_sandbox import faults
from marketdata_sandbox.server import TushareServer


@pytest.mark.parametrize(
    ("calls", "waited", "says"),
    [
        (Calls(200, for_allowance=300.0, for_answers=250.0), 50.0, Bottleneck.ALLOWANCE),
        (Calls(20, for_allowance=0.1, for_answers=40.0), 50.0, Bottleneck.LATENCY),
        (Calls(200, for_allowance=300.0, for_answers=250.0), 20.0, Bottleneck.OURSELVES),
        (Calls(), 0.0, Bottleneck.OURSELVES),
    ],
)
def test_work_is_bound_by_what_it_stood_still_for(
    calls: Calls, waited: float, says: Bottleneck
) -> None:
    assert bottleneck(calls, waited, seconds=60.0) is says


def test_calls_of_all_threads_are_counted_from_the_beginning_of_a_stretch_on() -> None:
    meter = CallMeter()
    meter.note(1.0, 2.0)
    before = meter.read()
    stretch = Stretch(meter)
    threads = [threading.Thread(target=meter.note, args=(0.5, 0.25)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.read().since(before) == Calls(8, 4.0, 2.0)
    assert stretch.told(calls_per_minute=200)["calls"] == 8


def test_items_that_are_waited_for_come_as_they_are() -> None:
    assert list(Stretch(CallMeter()).waiting_for(iter([1, 2, 3]))) == [1, 2, 3]


def test_a_call_that_is_tried_again_counts_again(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    spoil(server, "daily", faults.status(502, "busy"), times=2)
    stretch = tushare.stretch()
    tushare.day(DAILY_KLINE, DAY)
    assert stretch.told(calls_per_minute=200)["calls"] == len(server.requests) == 3
