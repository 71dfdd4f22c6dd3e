"""Who may know whom: imports between the rooms of the package go one way."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import marketdata_assets

HOUSE = Path(marketdata_assets.__file__).parent
DAYS_AND_TABLES = {"trading_calendar", "tables"}
MAY_KNOW = {
    "trading_calendar": set(),
    "instruments": set(),
    "settings": set(),
    "worlds": {"settings"},
    "tables": {"trading_calendar"},
    "partitions": {"trading_calendar", "settings"},
    "checks": DAYS_AND_TABLES,
    "storage": DAYS_AND_TABLES,
    "publishing": DAYS_AND_TABLES | {"storage"},
    "serving": DAYS_AND_TABLES | {"instruments", "storage"},
    "resources": DAYS_AND_TABLES | {"instruments", "listening", "publishing"},
    "assets": DAYS_AND_TABLES
    | {"checks", "instruments", "partitions", "publishing", "resources", "serving", "storage"},
    "automation": DAYS_AND_TABLES
    | {"checks", "partitions", "resources", "serving", "storage", "assets"},
    "sandbox": {"trading_calendar", "instruments", "listening", "publishing", "resources"},
    "environment": {"instruments", "settings", "worlds", "resources", "storage", "sandbox"},
    "api": DAYS_AND_TABLES
    | {"instruments", "listening", "serving", "settings", "storage", "worlds"},
    "env_file": {"settings"},
    "listening": {"settings"},
    "beside": set(),
    "ui": {"api", "listening", "settings"},
    "run_launcher": set(),
    "supervising": set(),
    "dev": {"api", "listening", "settings", "storage", "supervising", "ui", "worlds"},
    "console": set(),
    "definitions": {"environment", "assets", "automation", "console"},
}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def rooms_known_by(room: str) -> set[str]:
    files = [path for path in HOUSE.rglob("*.py") if room_of(path) == room]
    assert files, room
    modules = [
        node.module
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    ours = [module.split(".")[1] for module in modules if module.startswith("marketdata_assets.")]
    return set(ours) - {room}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    assert rooms_known_by(room) <= MAY_KNOW[room]


@pytest.mark.parametrize("room", ["serving", "api"])
def test_what_serves_needs_no_dagster(room: str) -> None:
    code = (
        f"import importlib, pkgutil, sys, marketdata_assets.{room} as room; "
        "[importlib.import_module(one.name) for one in pkgutil.walk_packages(room.__path__, "
        "room.__name__ + '.')]; print('dagster' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_no_two_modules_need_each_other() -> None:
    known = {
        ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__"): {
            node.module
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        for path in HOUSE.rglob("*.py")
    }
    # It raises where there is a circle, of imports within functions too.
    graphlib.TopologicalSorter(known).prepare()


def test_every_module_says_what_belongs_there() -> None:
    for path in HOUSE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path
