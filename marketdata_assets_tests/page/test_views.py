"""The page in a real browser: what it shows, and what it does when somebody clicks and types."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from marketdata_assets.api.api_settings import ApiSettings
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ETF_PREMIUM
from marketdata_assets_tests.api.serving import Client, served
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    EX_DATE,
    FUND,
    NEWEST,
    rows_of,
    store_world,
)
from marketdata_assets_tests.page.conftest import GAP, HALT
from marketdata_assets_tests.page.visiting import Visits

VIEWS = {
    "instrument/600000.SH": ("600000.SH", "600000.SH"),
    f"fund/{FUND}": (FUND, FUND),
    "market": ("Market", "市场"),
    "coverage": ("Coverage", "数据覆盖"),
    "status": ("Status", "运行状态"),
}
TOKEN = "token-of-this-test-1"
# The chart draws what changed with the next frame.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

# Every text that a canvas is given, with its edges and the canvas's width.
DRAWN_TEXTS = """
    window.drawnTexts = [];
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, ...more) {
      const { width } = this.measureText(text);
      const left = x - ({ center: width / 2, right: width }[this.textAlign] ?? 0);
      const edges = { left, right: left + width, width: this.canvas.clientWidth };
      window.drawnTexts.push({ text: String(text), ...edges });
      return fillText.call(this, text, x, ...more);
    };
"""


def at(api: Client, place: str) -> str:
    return f"{api.url}/#/{place}"


@pytest.mark.parametrize(("language", "number"), [("en-GB", 0), ("zh-CN", 1)])
@pytest.mark.parametrize("place", VIEWS)
def test_a_view_is_drawn_in_both_languages_and_asks_nobody_else(
    api: Client, visits: Visits, place: str, language: str, number: int
) -> None:
    page = visits.to(at(api, place), language, theme=["light", "dark"][number])
    expect(page.locator("h1")).to_contain_text(VIEWS[place][number])
    page.wait_for_load_state("networkidle")
    if place.startswith("instrument"):
        expect(page.locator(".candles canvas").first).to_be_visible()
    else:
        expect(page.locator("main svg").first).to_be_visible()
    assert visits.problems == []
    assert [url for url in visits.asked if not url.startswith(api.url)] == []
    is_chinese = re.search("[一-鿿]", page.locator("nav").inner_text()) is not None
    assert is_chinese == (number == 1)
    # A text that is in neither language would be shown by its name.
    assert (
        re.findall(r"\b[a-z]+_[a-z]+_[a-z]+\b", page.locator("nav, h2, dt").first.inner_text())
        == []
    )


@pytest.mark.parametrize("width", [320, 360])
def test_no_view_is_wider_than_a_phone(api: Client, visits: Visits, width: int) -> None:
    page = visits.to(at(api, "status"), width=width)
    for place in VIEWS:
        page.goto(at(api, place))
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") == width, place


def test_the_document_of_the_api_is_as_wide_as_a_phone(api: Client, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 375, "height": 800}, is_mobile=True) as context:
        page = context.new_page()
        page.goto(f"{api.url}/docs")
        widths = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert widths == [375, 375]


def test_a_chart_shows_whole_days_below_its_bars(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "status"))
    page.add_init_script(DRAWN_TEXTS)
    page.goto(at(api, "instrument/600000.SH"))
    page.reload()
    expect(page.locator(".candles canvas").first).to_be_visible()
    page.evaluate(DRAWN)
    drawn = page.evaluate("drawnTexts")
    days = [one for one in drawn if re.fullmatch(r"\d{4}-\d\d-\d\d", one["text"])]
    assert len(days) > 1
    assert [one for one in days if one["left"] < 0 or one["right"] > one["width"]] == []


def test_volume_and_turnover_have_their_units(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "instrument/600000.SH"))
    expect(page.locator(".headline")).to_contain_text(re.compile(r"Volume [\d.]+( \w+)? shares"))
    page = visits.to(at(api, "market"), "zh-CN")
    expect(page.locator(".tile", has_text="成交额")).to_contain_text("成交额（元）")
    expect(page.locator("th", has_text="成交额").first).to_have_text("成交额（元）")


def test_an_instrument_is_found_by_the_initials_of_its_name(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "status"))
    page.keyboard.press("/")
    page.keyboard.type("pfyh")
    expect(page.locator("#found li")).to_have_text(["600000.SH 浦发银行"])
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("600000.SH浦发银行")
    page.keyboard.press("/")
    page.keyboard.type("0")
    expect(page.locator("#found li").nth(1)).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#found li").nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#found")).to_be_hidden()


def test_the_lines_beside_a_chart_fetch_what_it_shows(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "instrument/600000.SH"))
    page.get_by_role("button", name="Forward").click()
    page.get_by_role("button", name="Week").click()
    expect(page.locator("pre").first).to_contain_text("frequency=W")
    line = page.locator("pre").first.inner_text()
    [url] = re.findall('"(http[^"]+)"', line)
    answer = api.session.get(url).json()
    assert (answer["adjust"], answer["code"]) == ("qfq", "600000.SH")
    assert any(asked.startswith(url) for asked in visits.asked)
    known: dict[str, Any] = {}
    exec(page.locator("pre").nth(1).inner_text().replace("md.get", "frame = md.get"), known)
    assert known["frame"]["close"].to_list() == [row["close"] for row in answer["data"]]


def test_a_chart_tells_halts_ex_dates_and_restatements(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "instrument/600000.SH"))
    for day, text in ((HALT, "Suspended"), (HALT, "Restated"), (EX_DATE, "Limit up")):
        row = page.locator("aside tr", has_text=str(day)).filter(has_text=text)
        expect(row).to_have_count(1)


def test_a_chart_moves_and_grows_by_keys(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "instrument/600000.SH"))
    chart = page.locator(".candles")
    expect(chart.locator("canvas").first).to_be_visible()
    chart.focus()
    seen = chart.screenshot()
    for key in ("ArrowLeft", "+"):
        page.keyboard.press(key)
        page.evaluate(DRAWN)
        now = chart.screenshot()
        assert now != seen, key
        seen = now
    assert visits.problems == []


def test_prices_are_shown_as_they_were_known(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "instrument/600000.SH"))
    day = page.locator("input[type=date]")
    # Of today nobody knows yet how it will be known at its end.
    yesterday = day.get_attribute("max")
    day.fill(yesterday)
    # Everything was stored a moment ago.
    expect(page.locator(".message")).to_contain_text(yesterday)
    assert any(f"as_of={yesterday}T23" in url for url in visits.asked)
    page.get_by_role("button", name="Now").click()
    expect(page.locator(".candles canvas").first).to_be_visible()


def test_a_slider_steps_through_the_days_on_which_something_was_stored(
    api: Client, visits: Visits
) -> None:
    page = visits.to(at(api, "instrument/600000.SH"))
    stored = page.locator("input[type=date]").get_attribute("max")
    # What was stored today is of a day before when it is looked at later.
    page.clock.set_fixed_time(dt.datetime.now(dt.UTC) + dt.timedelta(days=2))
    page.reload()
    slider = page.locator("input[type=range]")
    expect(slider).to_have_attribute("aria-valuetext", "Now")
    expect(slider).to_be_visible()
    slider.press("ArrowLeft")
    expect(page.locator("input[type=date]")).not_to_have_value("")
    known_on = page.locator("input[type=date]").input_value()
    assert stored < known_on
    expect(slider).to_have_attribute("aria-valuetext", known_on)
    expect(page).to_have_url(re.compile(f"as_of={known_on}"))
    # It can be stepped on by key.
    expect(slider).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(re.compile("as_of"))


def test_a_fund_tells_which_values_are_not_out(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, f"fund/{FUND}"))
    expect(page.locator("svg .shaded")).to_have_count(2)
    expect(page.locator(".note").first).to_contain_text("NAV not published yet")
    page.locator(".bars a").first.click()
    expect(page.locator("h1")).to_contain_text(FUND)


def test_a_click_on_a_day_of_the_market_shows_its_movers(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "market"))
    expect(page.locator("h2.apart")).to_contain_text(str(NEWEST))
    chart = page.locator(".chart svg").first
    chart.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("h2.apart")).to_contain_text(str(DAYS[-2]))
    expect(page.locator(".movers, .columns").first).to_contain_text("600000.SH")


def test_a_click_on_a_day_of_the_map_shows_its_ledger(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "coverage/daily_prices"))
    cell = page.locator(f"[data-date='{NEWEST}']")
    expect(cell).to_have_class(re.compile("flagged"))
    cell.click()
    expect(page.locator(".detail")).to_contain_text("factor_missing")
    page.locator(".heat").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator(".detail h2")).to_contain_text(str(DAYS[-2]))
    page.get_by_role("button", name="coverage", exact=True).click()
    expect(page.locator(f"[data-date='{GAP}']")).to_have_class(re.compile("stored"))


def test_what_a_visitor_chooses_stays_chosen(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "market"))
    for setting in ("theme", "colours", "language"):
        page.locator(f"[data-setting={setting}]").click()
    page.reload()
    expect(page.locator("h1")).to_contain_text("市场")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    expect(root).to_have_attribute("data-colours", "green")
    expect(root).to_have_attribute("lang", "zh-CN")


def test_what_the_api_refuses_is_told_with_its_words(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "instrument/NOTHING"))
    expect(page.locator(".message")).to_contain_text("NOTHING")
    page.goto(at(api, "instrument/HSI?adjust=qfq"))
    expect(page.locator(".message")).to_contain_text("HSI can't be adjusted")
    page.get_by_role("button", name="Unadjusted").click()
    expect(page.locator(".candles canvas").first).to_be_visible()


def test_an_api_that_went_away_is_told_and_asked_again(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "market"))
    page.context.set_offline(True)
    page.goto(at(api, "status"))
    expect(page.locator(".message")).to_contain_text("The API does not answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("h1")).to_contain_text("Status")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("empty") / "sandbox"
    root.mkdir()
    settings = ApiSettings(token=TOKEN, root_path="/market/data")
    with served(root, settings, default_wait=0) as client:
        yield client


def with_token(page: Page) -> None:
    # As it is copied from a page that has invisible characters.
    page.locator("input[name=token]").fill(f"\u200b{TOKEN}\u200b ")
    page.keyboard.press("Enter")


def test_without_data_every_view_says_what_to_do(empty: Client, visits: Visits) -> None:
    page = visits.to(f"{empty.url}/market/data/#/instrument")
    expect(page.locator(".message")).to_contain_text("asks for its token")
    expect(page.locator("#foot")).to_be_empty()
    with_token(page)
    expect(page.locator(".message")).to_contain_text("marketdata demo")
    # Where the data come from.
    expect(page.locator("#foot")).to_contain_text("marketdata-assets")
    for place in ("market", "coverage"):
        page.goto(f"{empty.url}/market/data/#/{place}")
        expect(page.locator(".message")).to_contain_text("There are no data yet")
    page.goto(f"{empty.url}/market/data/#/fund")
    expect(page.locator(".message")).to_contain_text("There are no funds yet")
    page.goto(f"{empty.url}/market/data/#/status")
    expect(page.locator("main")).to_contain_text("never")


@pytest.mark.parametrize("place", ["constructor", "instrument/%", "nowhere/%E4"])
def test_an_address_that_is_none_is_told_so(api: Client, visits: Visits, place: str) -> None:
    page = visits.to(at(api, place))
    expect(page.locator("main")).not_to_contain_text("object")
    assert not [one for one in visits.problems if "status of 400" not in one]


def test_the_page_is_small_and_holds_the_licences_of_what_it_brings() -> None:
    folder = Path(__file__).parents[2] / "marketdata_assets" / "page"
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert sum(one.stat().st_size for one in files) <= 400_000
    vendored = {one.name for one in (folder / "vendor").iterdir()}
    assert "klinecharts.min.js" in vendored
    assert "Apache License" in (folder / "vendor" / "klinecharts-LICENSE.txt").read_text("utf-8")


def test_every_text_that_is_asked_for_is_there() -> None:
    folder = Path(__file__).parents[2] / "marketdata_assets" / "page"
    texts = (folder / "texts.js").read_text("utf-8")
    known = set(re.findall(r'^  "?(\w+)"?: \[', texts, re.MULTILINE))
    for script in folder.glob("*.js"):
        asked = set(re.findall(r'\bt\("(\w+)"\)', script.read_text("utf-8")))
        assert asked <= known, script.name


def test_enter_takes_what_is_written_and_no_match_of_less(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "status"))
    page.keyboard.press("/")
    page.keyboard.type("0")
    expect(page.locator("#found li").first).to_have_text(re.compile("000001.SZ"))
    # The answer to the rest of it never comes.
    page.route("**/api/v1/instruments?*", lambda route: None)
    page.locator("#search").fill("600000.SH")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/instrument/600000.SH$"))


def test_what_could_not_be_read_is_asked_again_where_one_is(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "status"))
    page.route("**/api/v1/coverage?table=*", lambda route: route.abort())
    page.goto(at(api, "coverage/daily_prices"))
    expect(page.locator(".message")).to_contain_text("The API does not answer")
    # Nothing of the map is there yet.
    page.locator(".heat").press("ArrowLeft")
    page.locator(".heat").press("Enter")
    page.unroute("**/api/v1/coverage?table=*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(f"[data-date='{NEWEST}']")).to_be_visible()
    assert [one for one in visits.problems if "ERR_FAILED" not in one] == []


def test_on_the_first_of_january_the_days_before_are_shown(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, f"coverage/daily_prices?date={GAP}"))
    next_year = dt.datetime(GAP.year + 1, 1, 1, 4, tzinfo=dt.UTC)
    page.clock.set_fixed_time(next_year)
    visits.asked.clear()
    page.reload()
    expect(page.locator(".detail h2")).to_contain_text(str(GAP))
    expect(page.locator(f"[data-date='{NEWEST}']")).to_have_class(re.compile("chosen"))
    page.locator(".heat").press("Enter")
    expect(page.locator(".detail h2")).to_contain_text(str(NEWEST))
    # What the buttons sum up.
    [first] = [url for url in visits.asked if "/coverage?start" in url]
    assert f"start={next_year.date() - dt.timedelta(days=60)}" in first


def test_of_two_days_the_last_one_that_was_chosen_is_shown(api: Client, visits: Visits) -> None:
    page = visits.to(at(api, "coverage/daily_prices"))
    expect(page.locator(f"[data-date='{NEWEST}']")).to_be_visible()
    held: list[Route] = []
    page.route(f"**/api/v1/coverage?*date={NEWEST}", lambda route: held.append(route))
    page.locator(f"[data-date='{NEWEST}']").click()
    page.locator(f"[data-date='{GAP}']").click()
    expect(page.locator(".detail h2")).to_contain_text(str(GAP))
    with page.expect_response(f"**/api/v1/coverage?*date={NEWEST}") as answered:
        held[0].continue_()
    answered.value.finished()
    page.evaluate(DRAWN)
    expect(page.locator(".detail h2")).to_contain_text(str(GAP))


def test_a_day_without_a_bar_is_no_fall_to_nothing(tmp_path: Path, visits: Visits) -> None:
    root = tmp_path / "sandbox"
    lake = store_world(root)
    prices = {"open": [None], "high": [None], "low": [None], "close": [None]}
    value = rows_of(ETF_PREMIUM, 1, ts_code=[FUND], trade_date=[NEWEST], premium=[None], **prices)
    lake.write(ETF_PREMIUM, NEWEST, value)
    refresh(lake, ETF_PREMIUM)
    with served(root) as api:
        page = visits.to(at(api, f"instrument/{FUND}"))
        expect(page.locator(".headline")).to_contain_text(f"1.5000.00%{DAYS[-2]}")
