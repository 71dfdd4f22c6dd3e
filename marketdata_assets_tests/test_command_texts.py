"""What the commands say of themselves, in both languages."""

import argparse
import re
from collections.abc import Iterator

import pytest

from marketdata_assets.__main__ import command_parser

CHINESE = re.compile(r"[\u4e00-\u9fff]")


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
        ("demo --days some", "请写整数，如 20"),
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
