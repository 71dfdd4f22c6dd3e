"""What the commands say, in English and Chinese, argparse's own words too.

    command_texts.json    every text in Chinese, by the English one, by whose it is

Here belongs how a text is chosen, and the parser whose texts are of that table. The language is
that of LC_ALL, LC_MESSAGES or LANG. What is said when is each command's own; names of tables,
settings and runs are the same in both, and so is what comes from elsewhere. What an error says is
English where it is raised, for runs and the API tell it too: a command that shows it reads what
stands in its places.
"""

import argparse
import functools
import json
import os
import re
import string
import sys
from pathlib import Path
from typing import Any, NoReturn

from marketdata_assets.instruments import Kind

# What argparse says of a line that it can't read.
OF_ARGPARSE = (
    "the following arguments are required:",
    "unrecognized arguments:",
    "invalid choice:",
    "choose from",
    "expected one argument",
    "argument ",
)
# What an error says, and what stands in its places.
ERRORS = "errors, whoever raises them"


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]]
    table = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    table[ERRORS] |= {kind.doc: kind.doc_zh for kind in Kind}
    return table


@functools.cache
def chinese() -> dict[str, str]:
    """The table: every Chinese text by the English one."""
    return {english: one for texts in _table().values() for english, one in texts.items()}


def is_chinese() -> bool:
    """Whether the user reads Chinese, by the first of the settings of the shell that is there."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return next(filter(None, map(os.environ.get, names)), "").startswith("zh")


def text(english: str, **values: object) -> str:
    """A text in the user's language, with `values` in its places.

    What an error says is found with its values in it. One that is not in the table stays as it is,
    which a test looks for.
    """
    chosen = english
    if is_chinese():
        chosen = chinese().get(english) or _of_error(english)
    return chosen.format(**values) if values else chosen


def _of_error(said: str) -> str:
    """What an error says, or a part of it; what somebody wrote, like `rows`, is no other text."""
    for form, told in _error_forms():
        if found := form.fullmatch(said):
            values = {name: _of_error(value) for name, value in found.groupdict().items()}
            return told.format(**values)
    return _table()[ERRORS].get(said, said)


@functools.cache
def _error_forms() -> list[tuple[re.Pattern[str], str]]:
    """What finds the values in an error's text, and its Chinese; what says most comes first."""
    forms = []
    for english, told in _table()[ERRORS].items():
        form, piece, names = "", "", set[str]()
        for literal, name, _, _ in string.Formatter().parse(english):
            piece += re.escape(literal)
            if name:
                # A value ends where what follows it is first found: to try every other place takes
                # hours where a text is long.
                form += f"(?>{piece})"
                piece = f"(?P={name})" if name in names else f"(?P<{name}>.+?)"
                names.add(name)
        if names:
            forms.append((re.compile(form + piece, re.DOTALL), told))
    return sorted(forms, key=lambda one: len(one[0].pattern), reverse=True)


class CommandParser(argparse.ArgumentParser):
    """A parser whose texts come from the table: what it is given is English."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{**more, "add_help": False, "formatter_class": _Help})
        for group in (self._positionals, self._optionals):
            group.title = text(str(group.title))
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")

    def add_argument(self, *names: Any, **more: Any) -> argparse.Action:
        return super().add_argument(*names, **{**more, "help": text(more["help"])})

    def error(self, message: str) -> NoReturn:
        if is_chinese():
            for english in OF_ARGPARSE:
                message = message.replace(english, chinese()[english])
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {text('error: ')}{message}\n")


class _Help(argparse.HelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, text("usage: ") if prefix is None else prefix)
