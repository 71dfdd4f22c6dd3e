import datetime as dt

import pytest

from marketdata_assets import settings
from marketdata_assets.settings import SettingError

START = dt.date(2005, 1, 4)


def test_an_unset_or_empty_setting_is_its_default() -> None:
    for env in ({}, {"X": ""}):
        assert settings.whole_number(env, "X", 200) == 200
        assert settings.day(env, "X", START) == START


def test_a_set_one_is_read() -> None:
    assert settings.whole_number({"X": "500"}, "X", 200) == 500
    assert settings.day({"X": "2020-02-01"}, "X", START) == dt.date(2020, 2, 1)


@pytest.mark.parametrize("text", ["0", "-5", "many", "200.5", "²"])
def test_what_is_no_whole_number_says_how_to_write_it(text: str) -> None:
    with pytest.raises(
        SettingError, match=f"X is '{text}': write a whole number above 0, like 200"
    ):
        settings.whole_number({"X": text}, "X", 200)


@pytest.mark.parametrize("text", ["soon", "2020-13-01"])
def test_what_is_no_day_says_how_to_write_it(text: str) -> None:
    with pytest.raises(SettingError, match=f"X is '{text}': write a day, like 2005-01-04"):
        settings.day({"X": text}, "X", START)


def test_a_day_before_the_first_is_refused() -> None:
    with pytest.raises(SettingError, match="2005-01-04 is the first day there is"):
        settings.day({"X": "2004-12-31"}, "X", START)


@pytest.mark.parametrize("text", ["https://api.tushare.pro/dataapi", "http://127.0.0.1:8765"])
def test_an_address_is_read(text: str) -> None:
    assert settings.web_address({"X": text}, "X", "http://default") == text


@pytest.mark.parametrize("text", ["api.tushare.pro", "ftp://host", "http://", "http://h:port"])
def test_what_is_no_address_says_how_to_write_it(text: str) -> None:
    with pytest.raises(SettingError, match="write an address, like http://default"):
        settings.web_address({"X": text}, "X", "http://default")


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingError, match="without user and password") as error:
        settings.web_address({"X": "http://user:hidden@host"}, "X", "http://default")
    assert "hidden" not in str(error.value)
