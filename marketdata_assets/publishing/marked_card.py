"""A card that people may edit: a marked block and the `configs` are ours, the rest is theirs.

Here belongs what stays of a published card. What is written of the dataset is `card`.
"""

import re

BEGIN = "<!-- marketdata: begin -->"
END = "<!-- marketdata: end -->"
NOTE = """\
<!-- Each publication writes anew what stands between these marks; before and after it is yours.
每次发布会重写标记之间的内容；标记前后可自由编辑。 -->"""
# Until there were marks, all of a card was ours: so it began, and so it ended.
_UNMARKED = re.compile(
    r"\A---\npretty_name: China A-share daily prices\n.*数据版权归原始提供方所有[^\n]*\n\Z",
    re.DOTALL,
)
_BLOCK = re.compile(rf"{re.escape(BEGIN)}(?:(?!{re.escape(BEGIN)}).)*?{re.escape(END)}", re.DOTALL)
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
# Fields that say which files are loaded and what is in them: of other files they make loading fail.
_OF_FILES = re.compile(r"(configs|dataset_info)\s*:")


def with_block(card: bytes, front: str, configs: str, block: str) -> bytes:
    """The published `card` with our `block` and our `configs`; without a card a new one.

    `front` are the other fields that a new card begins with. A card that has no marks, and is
    not one of ours from before there were marks, keeps all of its text and gets the block at its
    end.
    """
    # What is no UTF-8 stays as it is.
    before = card.decode("utf-8", "surrogateescape")
    if _UNMARKED.match(before) and BEGIN not in before:
        before = ""
    marked = f"{BEGIN}\n{NOTE}\n\n{block.strip()}\n\n{END}"
    fields, text = _fields_and_text(before) or (front, before)
    after = f"---\n{_without_files(fields)}{configs}---\n{_with(marked, text)}"
    return after.encode("utf-8", "surrogateescape")


def _fields_and_text(card: str) -> tuple[str, str] | None:
    found = _FRONT.match(card)
    return (found[1], card[found.end() :]) if found else None


def _with(marked: str, text: str) -> str:
    """The text with the block in the place of its first one, and no other; or at its end."""
    first = _BLOCK.search(text)
    if not first:
        return f"{text.rstrip()}\n\n{marked}\n" if text.strip() else f"\n{marked}\n"
    after, cut = text[first.end() :], 1
    # Marks around a block that goes would make another one.
    while cut:
        after, cut = _BLOCK.subn("", after)
    return f"{text[: first.start()]}{marked}{after}"


def _without_files(fields: str) -> str:
    kept, is_ours = [], False
    for line in fields.splitlines(keepends=True):
        if re.match(r"[^\s#-]", line):
            is_ours = bool(_OF_FILES.match(line))
        if not is_ours or line.startswith("#"):
            kept.append(line)
    return "".join(kept)
