"""The `.env` file: who wins, and what is said of one that can't be read."""

from pathlib import Path

import pytest

from marketdata_assets.settings import UnreadableFile, settings_in, settle

SECRET = "hidden-91c4"


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(("mode", "is_told"), [(0o644, True), (0o604, True), (0o640, False)])
def test_a_file_that_everybody_can_read_is_told_of(
    tmp_path: Path, mode: int, is_told: bool
) -> None:
    path = written(tmp_path, f"TUSHARE_TOKEN={SECRET}\n")
    path.chmod(mode)
    told = [f"Everybody on this machine can read {path}. Run chmod 600 on it."]
    assert settle({}, path) == (told if is_told else [])


def test_the_shell_wins_also_with_nothing_and_that_is_told_without_a_value(tmp_path: Path) -> None:
    path = written(tmp_path, f"TUSHARE_TOKEN={SECRET}\nHF_TOKEN={SECRET}\nAPI_PORT=5001\n")
    env = {"TUSHARE_TOKEN": "", "HF_TOKEN": "hf_" + SECRET, "OTHER": "x"}
    told = settle(env, path)
    assert env == {
        "TUSHARE_TOKEN": "",
        "HF_TOKEN": "hf_" + SECRET,
        "OTHER": "x",
        "API_PORT": "5001",
    }
    assert told == [
        f"{name} is set in the shell and in {path}: the shell's counts."
        for name in ("TUSHARE_TOKEN", "HF_TOKEN")
    ]


def test_without_a_file_the_environment_stays(tmp_path: Path) -> None:
    env = {"X": "1"}
    assert settle(env, tmp_path / ".env") == []
    assert env == {"X": "1"}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("A=b", "b"),
        ("\ufeffA=b\r\n", "b"),
        ("# 注释\n\nexport A='b c' # told\n", "b c"),
        ('A="json://x\n  json://y"\nB=c\n', "json://x\n  json://y"),
        ("A=\n", ""),
        ("A=数据\n", "数据"),
    ],
)
def test_what_is_written_well_is_read(tmp_path: Path, content: str, value: str) -> None:
    assert settings_in(written(tmp_path, content))["A"] == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"A={SECRET}\n".encode("utf-16"), "line 1: it is UTF-16, save it as UTF-8"),
        (f"A={SECRET}\n".encode("utf-16-le"), "line 1: it is UTF-16"),
        (f"A={SECRET}\n\n# 数据\n".encode("gbk"), "line 3: it is not UTF-8 but perhaps GBK"),
        (f'B=1\n\nA="{SECRET}\nC=2\n', "line 3: write NAME=value, and close a quote"),
        (f"B=1\nA='{SECRET}\nC='2'\n", "line 2: write NAME=value, and close a quote"),
        (f'A="{SECRET}\nC="\n', "line 1: write NAME=value, and close a quote"),
        (f"B=1\n\n\n{SECRET}\n", "line 4: write NAME=value; there is no = in it"),
    ],
)
def test_what_is_not_is_refused_whole_naming_file_and_line(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    path, env = written(tmp_path, content), {"X": "1"}
    with pytest.raises(UnreadableFile) as refused:
        settle(env, path)
    assert str(refused.value).startswith(f"{path}, {said}")
    assert SECRET not in str(refused.value)
    assert env == {"X": "1"}


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(UnreadableFile, match=r"\.env: it can't be read, Is a directory\.$"):
        settings_in(tmp_path / ".env")
