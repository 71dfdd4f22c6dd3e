"""Which world it is, and where it lives; both without Dagster."""

import sys
from pathlib import Path

import pytest

from marketdata_assets.profile import Profile, origin, profile, profile_root, refuse_other_history
from marketdata_assets.settings import SettingError


def test_without_a_token_it_is_the_sandbox_with_a_token_the_live_market() -> None:
    assert profile({}) is Profile.SANDBOX
    assert profile({"TUSHARE_TOKEN": " "}) is Profile.SANDBOX
    assert profile({"TUSHARE_TOKEN": "x"}) is Profile.LIVE


def test_the_two_worlds_never_share_a_folder(tmp_path: Path) -> None:
    home = {"MARKETDATA_HOME": str(tmp_path)}
    assert profile_root(home) == tmp_path / "sandbox"
    assert profile_root({**home, "TUSHARE_TOKEN": "x"}) == tmp_path / "live"


def test_another_server_has_a_folder_of_its_own(tmp_path: Path) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path), "TUSHARE_TOKEN": "x"}
    assert (
        profile_root({**env, "TUSHARE_URL": "http://127.0.0.1:8765"}) == tmp_path / "live-127.0.0.1"
    )
    assert profile_root({**env, "TUSHARE_URL": "https://api.tushare.pro"}) == tmp_path / "live"


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"MARKETDATA_HOME is .*: name a folder"):
        profile_root({"MARKETDATA_HOME": str(tmp_path / "file")})


def test_a_home_that_can_not_be_opened_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"can't be opened \(File name too long\), name another"):
        profile_root({"MARKETDATA_HOME": str(tmp_path / ("x" * 300))})
    with pytest.raises(SettingError, match="HOME is '~nobody-here/data': there is no such home"):
        profile_root({"MARKETDATA_HOME": "~nobody-here/data"})


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="there making the folder is refused")
def test_a_home_behind_links_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(SettingError, match=r"it can't be opened \(Symlink loop"):
        profile_root({"MARKETDATA_HOME": str(tmp_path / "circle")})


def test_the_home_is_data_in_the_working_folder_by_default() -> None:
    assert profile_root({}) == Path.cwd() / "data" / "sandbox"


def test_data_are_called_what_they_are() -> None:
    assert origin({}) == "sandbox: simulated, not a real market"
    assert origin({"TUSHARE_TOKEN": "x"}) == "Tushare, api.tushare.pro"


def test_settings_of_one_world_never_meet_the_run_history_of_the_other(tmp_path: Path) -> None:
    home = {"MARKETDATA_HOME": str(tmp_path)}
    own = {"sandbox": home, "live": {**home, "TUSHARE_TOKEN": "x"}}
    for name, env in own.items():
        for history in (tmp_path / name / "dagster", tmp_path.parent / "elsewhere"):
            refuse_other_history({**env, "DAGSTER_HOME": str(history)})
        [other] = own.keys() - {name}
        with pytest.raises(SettingError, match="these settings are of another profile"):
            refuse_other_history({**env, "DAGSTER_HOME": str(tmp_path / other / "dagster")})
