from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.environment import resources
from marketdata_assets.instruments import identify
from marketdata_assets.profile import TUSHARE_URL, profile_root
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.resources.publisher import DatasetFolder
from marketdata_assets.resources.sources.routing import LiveSources
from marketdata_assets.resources.ssh_endpoint import Endpoint
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets.settings import SettingError
from marketdata_sandbox.instruments import SandboxSources
from marketdata_sandbox.transport import SandboxTushare


def test_the_sandbox_is_labelled_and_needs_nothing_from_outside(tmp_path: Path) -> None:
    made: dict[str, Any] = resources({"MARKETDATA_HOME": str(tmp_path)})
    assert isinstance(made["tushare"], SandboxTushare)
    assert "simulated" in made["lake"].origin


def test_the_live_market_takes_its_settings_and_asks_over_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path), "TUSHARE_TOKEN": "hidden-1234"}
    made: dict[str, Any] = resources({**env, "TUSHARE_CALLS_PER_MINUTE": "500"})
    assert type(made["tushare"]) is TushareResource
    assert made["tushare"].calls_per_minute == 500
    assert made["tushare"].url == TUSHARE_URL
    assert TUSHARE_URL.startswith("https://")
    assert made["lake"].origin == "Tushare, api.tushare.pro"
    assert "hidden-1234" not in repr(made)


def test_another_server_is_taken_from_tushare_url(tmp_path: Path) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path), "TUSHARE_TOKEN": "x"}
    made: dict[str, Any] = resources({**env, "TUSHARE_URL": "http://127.0.0.1:8765"})
    assert made["tushare"].url == "http://127.0.0.1:8765"
    assert made["lake"].origin == "Tushare, 127.0.0.1"


def test_an_unreadable_allowance_is_named(tmp_path: Path) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path), "TUSHARE_TOKEN": "x"}
    with pytest.raises(SettingError, match="TUSHARE_CALLS_PER_MINUTE is 'many'"):
        resources({**env, "TUSHARE_CALLS_PER_MINUTE": "many"})


def test_run_history_is_kept_for_two_weeks_or_as_long_as_is_set(tmp_path: Path) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path)}
    assert resources(env)["run_history_days"] == 14
    assert resources({**env, "RUN_HISTORY_DAYS": "90"})["run_history_days"] == 90
    with pytest.raises(
        SettingError, match="RUN_HISTORY_DAYS is '0': write a whole number above 0, like"
    ):
        resources({**env, "RUN_HISTORY_DAYS": "0"})


def test_extra_tables_are_none_or_those_that_are_named(tmp_path: Path) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path)}
    assert resources(env)["extra_tables"] == []
    named = resources({**env, "EXTRA_TABLES": "index_daily, dividends;index_daily"})
    assert named["extra_tables"] == ["index_daily", "dividends"]
    with pytest.raises(SettingError, match="EXTRA_TABLES is 'daily_kline': write some of index_da"):
        resources({**env, "EXTRA_TABLES": "daily_kline"})


LIVE = {"TUSHARE_TOKEN": "x", "HF_TOKEN": "hf_hidden1234", "HF_DATASET_REPO": "someone/prices"}


def test_the_live_market_is_published_with_both_settings(tmp_path: Path) -> None:
    made = resources({"MARKETDATA_HOME": str(tmp_path), **LIVE})["publisher"]
    assert type(made) is HuggingFaceResource
    assert made.repository == "someone/prices"
    assert made.endpoint == "https://huggingface.co"
    assert "hf_hidden1234" not in repr(made)


@pytest.mark.parametrize("left_out", ["TUSHARE_TOKEN", "HF_DATASET_REPO"])
def test_anything_else_is_published_to_a_plain_folder(left_out: str, tmp_path: Path) -> None:
    env = {"MARKETDATA_HOME": str(tmp_path), **LIVE, left_out: ""}
    made = resources(env)["publisher"]
    assert isinstance(made, DatasetFolder)
    assert made.folder == str(profile_root(env) / "dataset")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("HF_TOKEN", "", "HF_TOKEN is '': set it together"),
        ("HF_DATASET_REPO", "prices", "owner/name"),
    ],
)
def test_a_dataset_setting_that_can_not_be_used_says_why(
    setting: str, value: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=said):
        resources({"MARKETDATA_HOME": str(tmp_path), **LIVE, setting: value})


def test_alerts_are_silent_unless_set_and_their_addresses_are_not_shown(tmp_path: Path) -> None:
    home = {"MARKETDATA_HOME": str(tmp_path)}
    silent: Any = resources(home)["alerts"]
    assert silent.urls == ""
    made: Any = resources({**home, "ALERT_URLS": "json://hidden1234@host, json://b"})["alerts"]
    assert "hidden1234" not in repr(made)
    assert "hidden1234" not in str(made.model_dump())


def test_an_alert_address_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"ALERT_URLS is '\*\*\*': write addresses") as error:
        resources({"MARKETDATA_HOME": str(tmp_path), "ALERT_URLS": "json://a hidden1234"})
    assert "hidden1234" not in str(error.value)


def test_the_sandbox_tracks_a_code_of_every_kind_and_asks_nobody(tmp_path: Path) -> None:
    made = resources({"MARKETDATA_HOME": str(tmp_path)})["instrument_sources"]
    assert isinstance(made, SandboxSources)
    assert {identify(code).kind for code in made.tracked_codes} >= {
        "china_index",
        "china_etf",
        "hk_index",
        "us_index",
        "futures",
        "crypto",
    }
    assert made.first_day == "2015-01-01"


TUNNEL = {
    "SSH_ENABLED": "true",
    "SSH_HOST": "far.example",
    "SSH_USERNAME": "me",
    "SSH_KEY_PATH": "~/key.pem",
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA\n-----END OPENSSH PRIVATE KEY-----"


def live(tmp_path: Path, **settings: str) -> LiveSources:
    env = {"MARKETDATA_HOME": str(tmp_path), "TUSHARE_TOKEN": "x", **settings}
    made = resources(env)["instrument_sources"]
    assert isinstance(made, LiveSources)
    return made


def test_the_live_market_tracks_what_is_set_in_canonical_form(tmp_path: Path) -> None:
    assert live(tmp_path).tracked_codes == []
    codes = "sh600000, hstech;BTC\nAU.SHF"
    assert live(tmp_path, TRACKED_CODES=codes).tracked_codes == [
        "600000.SH",
        "HSTECH.HK",
        "BTC",
        "AU.SHF",
    ]


def test_histories_begin_where_the_setting_says(tmp_path: Path) -> None:
    assert live(tmp_path, HISTORY_START_DATE="2010-01-01").first_day == "2010-01-01"
    with pytest.raises(SettingError, match="1990-12-19 is the first day"):
        live(tmp_path, HISTORY_START_DATE="1980-01-01")


def test_without_ssh_enabled_there_is_no_tunnel(tmp_path: Path) -> None:
    assert live(tmp_path, **{**TUNNEL, "SSH_ENABLED": "false"}).tunnel == Endpoint()


def test_the_tunnel_takes_its_settings(tmp_path: Path) -> None:
    home = Path.home()
    tunnel = live(tmp_path, **TUNNEL).tunnel
    assert (tunnel.host, tunnel.port, tunnel.username) == ("far.example", 22, "me")
    assert tunnel.key_path == str(home / "key.pem")
    assert tunnel.known_hosts == str(home / ".ssh" / "known_hosts")
    assert tunnel.local_port == 0
    more = {"SSH_PORT": "2222", "SSH_LOCAL_PORT": "1080", "SSH_KNOWN_HOSTS": "/etc/hosts.known"}
    tunnel = live(tmp_path, **TUNNEL, **more).tunnel
    assert (tunnel.port, tunnel.local_port, tunnel.known_hosts) == (2222, 1080, "/etc/hosts.known")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("SSH_ENABLED", "perhaps", "write true or false"),
        ("SSH_HOST", "", "SSH_HOST is '': set it together with SSH_ENABLED"),
        ("SSH_USERNAME", "", "set it together with SSH_ENABLED"),
        ("SSH_KEY_PATH", "", "set it together with SSH_ENABLED"),
        ("SSH_KEY_PATH", "~nobody-here/key", "there is no such home folder, write the whole path"),
        ("SSH_KEY_PATH", KEY, r"^SSH_KEY_PATH is '\*\*\*': write the path of a file with the key"),
        ("SSH_PORT", "0", "write a port"),
        ("SSH_LOCAL_PORT", "70000", "write a port"),
        ("TRACKED_CODES", "BTC,000001", "Did you mean 000001.SH"),
    ],
)
def test_a_setting_of_the_sources_that_can_not_be_used_says_why(
    setting: str, value: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=said):
        live(tmp_path, **{**TUNNEL, setting: value})
