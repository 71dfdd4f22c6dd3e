"""What the commands say of themselves, in both languages."""

import argparse
import ast
import datetime as dt
import re
import string
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

import marketdata_assets
from marketdata_assets import command_texts, copying, doctor, errors
from marketdata_assets.__main__ import command_parser
from marketdata_assets.command_texts import text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import UnknownCode, identify
from marketdata_assets.instruments.kinds import Unit
from marketdata_assets.resources import hub_errors, publisher, tushare_errors
from marketdata_assets.resources.hub_errors import HubError
from marketdata_assets.resources.tushare_errors import TushareError
from marketdata_assets.serving.answers import NotStored
from marketdata_assets.serving.former_codes import SuccessorUnknown
from marketdata_assets.serving.ohlcv_view import NoSuchColumn
from marketdata_assets.settings import SettingError, whole_number
from marketdata_assets.storage import lake
from marketdata_assets.storage.lake import DamagedPartitions, MissingPartitions, UnfitPartitions
from marketdata_assets.storage.series.generation import NoSeries, load_generation
from marketdata_assets.tables import DAILY_PRICES, INSTRUMENT_HISTORY, declaration

Family = TypeVar("Family", bound=MarketdataError)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
HOUSE = Path(marketdata_assets.__file__).parent
# What hands its texts to the table.
SPEAKERS = {"text", "SettingError", "UnreadableFile", "_look", "_tried", "_line"}
# Whose errors end a command.
RAISERS = (
    "checks/excuses.py",
    "instruments/*.py",
    "publishing/*.py",
    "resources/ssh_*.py",
    "serving/adjusting.py",
    "trading_calendar.py",
)
# Names, which are the same in both languages.
NAMES = re.compile(r"[A-Z_]*|--.*|\*+|Hub|dev|marketdata dev|where the code server is")


@pytest.fixture
def speaks(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def all_parsers() -> Iterator[argparse.ArgumentParser]:
    parser = command_parser()
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def test_every_text_of_every_command_is_there_in_both_languages(
    speaks: pytest.MonkeyPatch,
) -> None:
    english = [one.format_help() for one in all_parsers()]
    assert not any(map(CHINESE.search, english))
    speaks.setenv("LANG", "zh_CN.UTF-8")
    chinese = [one.format_help() for one in all_parsers()]
    assert len(english) == len(chinese) > 12
    for one in all_parsers():
        texts = [one.description, *(action.help for action in one._actions if action.help)]
        assert all(CHINESE.search(str(text)) for text in texts), one.prog


def test_the_first_setting_of_the_shell_decides(speaks: pytest.MonkeyPatch) -> None:
    speaks.setenv("LANG", "zh_CN.UTF-8")
    assert CHINESE.search(command_parser().format_help())
    speaks.setenv("LC_ALL", "en_US.UTF-8")
    assert not CHINESE.search(command_parser().format_help())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("query", "缺少参数： code"),
        ("backfill 2024 2025", "'2024': 请写日期，如 2024-03-06"),
        ("demo --days some", "请写大于 0 的整数，如 20"),
        ("dev --port 0", "请写端口号"),
        ("nothing", "无此选项： 'nothing'"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_in_the_language_too(
    speaks: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    speaks.setenv("LC_ALL", "zh_CN.UTF-8")
    with pytest.raises(SystemExit) as end:
        command_parser().parse_args(typed.split())
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.startswith("用法：marketdata")


def constants(node: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body, named)
        yield from constants(node.orelse, named)
    elif isinstance(node, ast.Name):
        for value in named.get(node.id, []):
            if not isinstance(value, ast.Name):
                yield from constants(value, named)


def assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    named: dict[str, list[ast.expr]] = {}
    for one in ast.walk(tree):
        for target in one.targets if isinstance(one, ast.Assign) else ():
            assert isinstance(one, ast.Assign)
            pairs = [(target, one.value)]
            if isinstance(target, ast.Tuple) and isinstance(one.value, ast.Tuple):
                pairs = list(zip(target.elts, one.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    named.setdefault(name.id, []).append(value)
    return named


def spoken() -> Iterator[str]:
    """The texts that the commands, and the settings that they read, take from the table."""
    for path in HOUSE.rglob("*.py"):
        source = path.read_text("utf-8")
        if "command_texts import" not in source and "import SettingError" not in source:
            continue
        tree = ast.parse(source)
        named = assigned(tree)
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in SPEAKERS:
                for one in call.args:
                    yield from constants(one, named)


def test_whatever_a_command_says_is_in_the_table() -> None:
    said = {one for one in spoken() if not NAMES.fullmatch(one)}
    assert len(said) > 150
    assert said - set(command_texts.chinese()) == set()


@pytest.mark.parametrize(
    "words",
    [copying.Outcome, doctor.Outcome, publisher.Outcome, lake.Outcome, declaration.Outcome, Unit],
)
def test_what_came_of_something_is_in_the_table(words: type[StrEnum]) -> None:
    assert {one.value for one in words} <= set(command_texts.chinese())


def test_a_text_has_the_same_places_in_both_languages() -> None:
    def places(sentence: str) -> list[tuple[object, ...]]:
        parts = string.Formatter().parse(sentence)
        return sorted((name, form) for _, name, form, _ in parts if name is not None)

    for english, chinese in command_texts.chinese().items():
        assert places(english) == places(chinese), english


def test_what_is_said_has_its_values_in_the_language_of_the_shell(
    speaks: pytest.MonkeyPatch,
) -> None:
    assert text("{size} free", size="1.0 GB") == "1.0 GB free"
    speaks.setenv("LANG", "zh_CN.UTF-8")
    assert text("{size} free", size="1.0 GB") == "可用 1.0 GB"
    with pytest.raises(SettingError, match="API_PORT 为 'x'：请写大于 0 的整数，如 5000。"):
        whole_number({"API_PORT": "x"}, "API_PORT", 5000)


def sentence(node: ast.expr) -> str:
    """A text with something in each of its places, empty where it is none."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts = (one.value if isinstance(one, ast.Constant) else "x1" for one in node.values)
    return "".join(map(str, parts))


def raised() -> Iterator[str]:
    kinds = set((errors.__doc__ or "").split())
    for path in (path for pattern in RAISERS for path in HOUSE.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                yield from map(sentence, node.args[:1])


def of_module(module: ModuleType, family: type[Family]) -> list[type[Family]]:
    found = (one for one in vars(module).values() if isinstance(one, type))
    return [one for one in found if issubclass(one, family)]


def test_what_ends_a_command_is_told_in_the_language_of_the_shell(
    speaks: pytest.MonkeyPatch,
) -> None:
    said = {one for one in raised() if one}
    assert len(said) > 30
    speaks.setenv("LANG", "zh_CN.UTF-8")
    assert {one for one in said if not CHINESE.search(text(one))} == set()


def test_an_error_that_is_made_of_parts_is_told_in_it_too(
    speaks: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[MarketdataError] = [
        MissingPartitions(DAILY_PRICES, [None]),
        MissingPartitions(DAILY_PRICES, [dt.date(2024, 1, 2)]),
        MissingPartitions(INSTRUMENT_HISTORY, ["HSI"]),
        *(kind(DAILY_PRICES, [tmp_path], "x") for kind in (UnfitPartitions, DamagedPartitions)),
        *(kind("a/b", "x.") for kind in of_module(hub_errors, HubError) if kind.cure),
        NotStored("600000.SH"),
        SuccessorUnknown("833171.BJ"),
        NoSuchColumn(DAILY_PRICES, ["clsoe"]),
        NoSuchColumn(DAILY_PRICES, ["clsoe"], others=()),
    ]
    with pytest.raises(NoSeries) as no_series:
        load_generation(tmp_path, DAILY_PRICES)
    speaks.setenv("LANG", "zh_CN.UTF-8")
    for error in [*made, no_series.value]:
        assert CHINESE.search(text(str(error))), error
    assert text(str(made[0])) == "daily_prices 未入库，请先物化 daily_prices。"
    damaged = DamagedPartitions(DAILY_PRICES, [Path("a.parquet")], "its checksum is another")
    assert "已损坏：a.parquet（校验和不符）" in text(str(damaged))
    assert "rows" in command_texts.chinese()
    written = text(str(NoSuchColumn(DAILY_PRICES, ["rows"])))
    assert written.startswith("daily_prices 没有 rows 列。现有：")
    cures = {kind.cure for kind in of_module(tushare_errors, TushareError) if kind.cure}
    assert all(CHINESE.search(text(cure)) for cure in cures)


@pytest.mark.parametrize("part", ["a (b: c) ", ": x rows published, ", "2024-01-02: a, b and c\n"])
def test_a_long_error_that_has_no_form_is_told_at_once(
    part: str, speaks: pytest.MonkeyPatch
) -> None:
    speaks.setenv("LANG", "zh_CN.UTF-8")
    assert text(part * 500) == part * 500


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("600000", "无法识别代码 '600000'，是否指 600000.SH（A股）？可识别的写法：中国大陆指数"),
        ("TA501", "是否指 TA1501.ZCE（期货单个合约）或 TA2501.ZCE（期货单个合约）？可识别"),
        ("519001", "开放式基金中只支持在交易所上市的。可识别"),
        ("?", "无法识别代码 '?'。可识别"),
    ],
)
def test_a_code_that_is_not_understood_is_told_with_what_it_could_be(
    speaks: pytest.MonkeyPatch, written: str, told: str
) -> None:
    with pytest.raises(UnknownCode, match="is no code that is understood") as error:
        identify(written)
    assert text(str(error.value)) == str(error.value)
    speaks.setenv("LANG", "zh_CN.UTF-8")
    assert told in text(str(error.value))
