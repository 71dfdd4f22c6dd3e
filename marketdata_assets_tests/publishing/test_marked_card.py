"""What of a published card is ours and what is left to people."""

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata_assets.publishing.card import BEGIN, END, with_block

FRONT = "pretty_name: Prices\nlicense: other\n"
CONFIGS = "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: a\n"
BLOCK = "# Prices\n"


def written(card: str, configs: str = CONFIGS, block: str = BLOCK) -> str:
    return with_block(card.encode(), FRONT, configs, block).decode()


def fields(card: str) -> dict[str, object]:
    return dict(yaml.safe_load(card.split("---\n")[1]))


def test_a_new_card_has_the_fields_the_configs_and_the_marked_block() -> None:
    card = written("")
    assert card.startswith(f"---\n{FRONT}{CONFIGS}---\n")
    assert card.count(BEGIN) == card.count(END) == 1
    assert "# Prices" in card


def test_what_is_written_around_the_block_stays_and_the_block_is_written_anew() -> None:
    card = written("").replace(BEGIN, f"Mine before.\n\n{BEGIN}") + "\nMine after.\n"
    after = written(card.replace("# Prices", "# Edited within"), block="# Newer\n")
    assert after == card.replace("# Prices", "# Newer")
    assert after.index("Mine before.") < after.index("# Newer") < after.index("Mine after.")


def test_fields_of_the_front_matter_stay_but_for_those_of_the_files() -> None:
    card = """---
license: mit
dataset_info:
  splits:
  - name: train
    num_examples: 3
# Mine.
configs:
- config_name: default
  data_files: all-prices.csv
tags:
- mine
---
My text.
"""
    after = written(card)
    assert fields(after) == {"license": "mit", "tags": ["mine"]} | yaml.safe_load(CONFIGS)
    assert "# Mine.\n" in after
    assert "\nMy text.\n" in after
    assert written(after) == after


def test_a_card_without_marks_that_is_not_ours_is_kept_with_the_block_at_its_end() -> None:
    after = written("# My dataset\n\nText.\n")
    assert after.startswith(f"---\n{FRONT}{CONFIGS}---\n# My dataset\n\nText.\n\n{BEGIN}")
    assert after.endswith(f"{END}\n")


def test_a_card_from_before_there_were_marks_is_replaced_unless_somebody_wrote_around_it() -> None:
    ours = "---\npretty_name: China A-share daily prices\n---\n# Old\n数据版权归原始提供方所有，…\n"
    assert "# Old" not in written(ours)
    assert "# Old" in written(f"{ours}\nMine.\n")


def test_a_mark_without_its_other_swallows_nothing() -> None:
    card = f"{BEGIN}\nMine.\n"
    once = written(card)
    assert "Mine." in written(once, block="# Newer")
    assert "# Prices" not in written(once, block="# Newer")


def test_what_is_no_utf_8_or_has_other_line_ends_stays() -> None:
    card = b"---\r\nlicense: mit\r\n---\r\n\xff mine\r\n"
    after = with_block(card, FRONT, CONFIGS, BLOCK)
    assert after.startswith(b"---\nlicense: mit\r\nconfigs:\n")
    assert b"\xff mine" in after


LINES = st.sampled_from(
    ["---", BEGIN, END, "configs:", "- a", "  b: c", "# d", "license: e", "", "text", "configs: []"]
)


@given(st.lists(LINES, max_size=12))
@example([BEGIN, END, BEGIN, BEGIN, END, END])
def test_writing_again_changes_nothing_and_loses_no_line_of_text(lines: list[str]) -> None:
    once = written("\n".join(lines))
    assert written(once) == once
    assert once.count("# Prices") == 1
    if BEGIN not in lines and "configs:" not in lines:
        assert once.count("text") >= lines.count("text")
