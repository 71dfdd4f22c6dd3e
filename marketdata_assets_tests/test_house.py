"""Who may know whom: imports between the rooms of the packages go one way."""

import ast
import functools
import gc
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import marketdata_assets
import marketdata_sandbox

HOUSE = Path(marketdata_assets.__file__).parent
SANDBOX = Path(marketdata_sandbox.__file__).parent
FILES = sorted([*HOUSE.rglob("*.py"), *SANDBOX.rglob("*.py")])
DAYS_AND_TABLES = {"trading_calendar", "tables"}
MAY_KNOW = {
    # At the bottom: everybody knows it.
    "errors": set(),
    "trading_calendar": set(),
    "instruments": set(),
    "allowance_counter": set(),
    "command_texts": {"instruments"},
    "settings": {"command_texts", "trading_calendar"},
    "profile": {"settings"},
    "hosts": {"settings"},
    "shared_database": set(),
    "tables": {"trading_calendar"},
    "timetable": {"trading_calendar"},
    "partitions": {"trading_calendar", "settings"},
    "checks": DAYS_AND_TABLES | {"instruments"},
    "storage": DAYS_AND_TABLES
    | {"hosts", "instruments", "listening", "settings", "shared_database"},
    "publishing": DAYS_AND_TABLES | {"listening", "storage"},
    "serving": DAYS_AND_TABLES
    | {"allowance_counter", "checks", "hosts", "instruments", "profile", "settings"}
    | {"shared_database", "storage", "timetable"},
    "resources": DAYS_AND_TABLES
    | {"allowance_counter", "hosts", "instruments", "listening", "publishing", "shared_database"},
    "assets": DAYS_AND_TABLES
    | {"checks", "instruments", "partitions", "publishing", "resources", "serving", "storage"},
    "automation": DAYS_AND_TABLES
    | {"checks", "partitions", "resources", "serving", "storage", "assets", "timetable"},
    "sandbox": DAYS_AND_TABLES | {"instruments", "resources"},
    "celery_results": {"hosts", "storage"},
    "celery_steps": {"automation", "hosts", "storage"},
    "environment": {
        "celery_steps",
        "hosts",
        "instruments",
        "settings",
        "profile",
        "resources",
        "storage",
        "sandbox",
        "tables",
    },
    "api": DAYS_AND_TABLES
    | {"instruments", "listening", "serving", "settings", "storage", "profile"},
    "client": DAYS_AND_TABLES | {"instruments", "listening", "serving", "storage"},
    "listening": {"settings"},
    "code_server": set(),
    "daemon": {"code_server", "run_launcher"},
    "ui": {"api", "code_server", "listening", "profile", "settings"},
    "run_launcher": set(),
    "supervising": {"command_texts"},
    "dev": {"api", "command_texts", "hosts", "listening", "profile", "settings", "storage"}
    | {"supervising", "ui"},
    "console": set(),
    "definitions": {"api", "environment", "assets", "automation", "console", "settings", "tables"},
}


def room_of(module: str) -> str | None:
    """The room of a module of ours: its folder or file in the package; the sandbox is one."""
    package, _, inside = module.partition(".")
    if package == "marketdata_sandbox":
        return "sandbox"
    return inside.split(".")[0] if package == "marketdata_assets" else None


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path) for path in FILES}


@functools.cache
def parsed(path: Path) -> ast.Module:
    # What a collection runs meanwhile makes Python 3.11 lose count of the depth: a SystemError.
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        gc.enable()


def imported_by(path: Path) -> set[str]:
    return {
        inner if (inner := f"{node.module}.{name.name}") in MODULES else node.module
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }


def rooms_known_by(room: str) -> set[str]:
    files = [path for path in FILES if room_of(name_of(path)) == room]
    assert files, room
    known = {room_of(module) for path in files for module in imported_by(path)}
    return known - {room, "errors", None, ""}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    assert rooms_known_by(room) <= MAY_KNOW[room]


@pytest.mark.parametrize("room", ["serving", "api", "client"])
def test_what_serves_needs_no_dagster(room: str) -> None:
    code = (
        f"import importlib, pkgutil, sys, marketdata_assets.{room} as room; "
        "[importlib.import_module(one.name) for one in pkgutil.walk_packages(room.__path__, "
        "room.__name__ + '.')]; print('dagster' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_no_two_modules_need_each_other() -> None:
    known = {name_of(path): imported_by(path) for path in FILES}
    # It raises where there is a circle, of imports within functions too.
    graphlib.TopologicalSorter(known).prepare()


def test_every_module_says_what_belongs_there() -> None:
    for path in FILES:
        assert ast.get_docstring(parsed(path)), path
