"""What the documentation tells to run does run, after one small demo alone, and says something.

Here belongs running the blocks of every page. Each Python block is a script by itself; what needs
more than the demo says so in its fence: ```sh {needs="a token"}.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from marketdata_assets_tests import PROJECT
from marketdata_assets_tests.test_docs import PAGES

BLOCK = re.compile(r"^```(\w+)(?: \{needs=\"([^\"]+)\"\})?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
RUN, SHOWN = {"python", "sh", "sql"}, {"text", "nginx"}
# Where the documentation has the API; the test has it wherever there is room.
USUAL = "127.0.0.1:5000"
OURS = ("TUSHARE", "HF_", "API_", "UI_", "MARKETDATA", "DAGSTER", "EXTRA_", "TRACKED_")
SCRIPTS = """
import contextlib, io, json, sys, warnings
told = {}
for name, text in json.load(sys.stdin).items():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        exec(compile(text, name, "exec"), {"__name__": "__main__"})
    told[name] = printed.getvalue()
print(json.dumps(told))
"""


class Block(NamedTuple):
    where: str
    language: str
    needs: str
    text: str


def blocks() -> list[Block]:
    """Every block once, of whichever page has it first; comments are each language's own."""
    found: dict[str, Block] = {}
    for page in PAGES:
        for number, (language, needs, text) in enumerate(BLOCK.findall(page.read_text("utf-8"))):
            block = Block(f"{page.name}:{number + 1}", language, needs, text)
            found.setdefault(COMMENT.sub("", text), block)
    return list(found.values())


def runnable(language: str) -> list[Block]:
    return [block for block in blocks() if block.language == language and not block.needs]


class Demo(NamedTuple):
    folder: Path
    environment: dict[str, str]
    api: str

    def run(self, *command: str, told: str = "") -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            input=told,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def here(self, text: str) -> str:
        return text.replace(USUAL, self.api)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A folder after `marketdata demo`, whose API answers while the tests run."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / ".venv").symlink_to(sys.prefix)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment = {**clean, "API_PORT": str(port)}
    environment |= {"PYTHONPATH": str(PROJECT), "HF_HOME": str(folder / "hf")}
    made = Demo(folder, environment, f"127.0.0.1:{port}")
    made.run(".venv/bin/marketdata", "demo", "--days", "2")
    server = subprocess.Popen(
        [".venv/bin/marketdata", "serve"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        assert made.api in server.stdout.readline()
        yield made
    finally:
        server.kill()
        server.communicate()


def test_every_block_is_run_or_only_shown_or_says_what_it_needs() -> None:
    assert {block.language for block in blocks()} == RUN | SHOWN
    assert not [block.where for block in blocks() if block.needs and block.language in SHOWN]
    for page in PAGES:
        text = page.read_text("utf-8")
        assert len(re.findall("^```", text, re.MULTILINE)) == 2 * len(BLOCK.findall(text)), page


@pytest.mark.slow
def test_each_python_block_is_a_script_that_prints(demo: Demo) -> None:
    texts = {block.where: demo.here(block.text) for block in runnable("python")}
    told = json.loads(demo.run(sys.executable, "-c", SCRIPTS, told=json.dumps(texts)))
    assert {where for where in texts if told[where].strip()} == set(texts)


@pytest.mark.slow
@pytest.mark.parametrize("block", runnable("sql"), ids=lambda block: block.where)
def test_each_query_is_answered_over_the_catalog(block: Block, demo: Demo) -> None:
    catalog = demo.folder / "data" / "sandbox" / "catalog.duckdb"
    with duckdb.connect(str(catalog), read_only=True) as connection:
        assert connection.sql(block.text).columns


@pytest.mark.slow
@pytest.mark.parametrize("block", runnable("sh"), ids=lambda block: block.where)
def test_each_command_says_something_and_ends_well(block: Block, demo: Demo) -> None:
    if "curl" in block.text and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    assert demo.run("bash", "-euc", demo.here(block.text)).strip()
