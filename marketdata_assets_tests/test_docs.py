"""The documentation: its links lead somewhere, and both languages tell the same.

Here belongs what can be read off the pages. What their blocks do is `test_snippets`.
"""

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml

from marketdata_assets_tests import PROJECT

DOCS = PROJECT / "docs"
WRITTEN = sorted(DOCS.glob("*.md"))
ENGLISH = [PROJECT / "README.md", *(page for page in WRITTEN if ".zh" not in page.suffixes)]
README_LINES = 110
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
FETCHED = re.compile(r"<(?:script|img|link rel=\"stylesheet\")[^>]*\"(?:https?:)?//[^>]*>")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Between Chinese characters, or before or after one: never of half width.
NARROW = re.compile(r"[\u4e00-\u9fff][,;:!?()]|[,;!?()][\u4e00-\u9fff]")


def chinese(page: Path) -> Path:
    return page.with_name(f"{page.stem}.zh{'-CN' if page.parent == PROJECT else ''}.md")


CHINESE = [chinese(page) for page in ENGLISH]
PAGES = [*ENGLISH, *CHINESE]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The names of the headings, as GitHub and the site make them."""
    return {
        re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", title.lower())).replace(" ", "-")
        for _, title in HEADING.findall(prose(page))
    }


def shape(page: Path) -> tuple[list[str], list[str]]:
    text = page.read_text("utf-8")
    levels = [level for level, _ in HEADING.findall(prose(page))]
    return levels, [block.splitlines()[0] for block in FENCED.findall(text)]


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.name)
def test_both_languages_have_the_same_headings_and_blocks(page: Path) -> None:
    assert shape(page) == shape(chinese(page))


def test_no_page_is_in_one_language_alone_and_all_are_in_the_navigation() -> None:
    assert sorted(page for page in PAGES if page.parent == DOCS) == WRITTEN
    # Its anchors are made by a function that only the site needs.
    text = re.sub(r"!!python\S+ \{.*\}", "", (PROJECT / "mkdocs.yml").read_text("utf-8"))
    named = re.findall(r"\w+\.md", str(yaml.safe_load(text)["nav"]))
    assert sorted(named) == sorted(page.name for page in ENGLISH if page.parent == DOCS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_chinese_text_has_chinese_punctuation(page: Path) -> None:
    text = LINK.sub("]", re.sub(r"`[^`\n]*`", "x", prose(page)))
    assert not NARROW.findall(text)


@pytest.mark.parametrize("page", [PROJECT / "README.md", PROJECT / "README.zh-CN.md"])
def test_a_readme_is_a_screen_and_a_half(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= README_LINES


def test_the_site_is_made_without_a_warning_and_fetches_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(WRITTEN)
    assert not [page.name for page in pages if FETCHED.search(page.read_text("utf-8"))]
