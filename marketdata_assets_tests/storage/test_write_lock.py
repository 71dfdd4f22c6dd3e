import threading
from pathlib import Path

from marketdata_assets.storage.write_lock import wait_for_writer, writing

MOMENT = 0.05
PATIENCE_SECONDS = 30


def waiting_reader(folder: Path) -> threading.Thread:
    """A reader that has begun to wait."""
    reader = threading.Thread(target=wait_for_writer, args=(folder,))
    reader.start()
    reader.join(MOMENT)
    return reader


def test_a_reader_waits_for_the_write_under_way_and_for_no_later_one(tmp_path: Path) -> None:
    with writing(tmp_path):
        reader = waiting_reader(tmp_path)
        assert reader.is_alive()
    with writing(tmp_path):
        reader.join(PATIENCE_SECONDS)
        assert not reader.is_alive()


def test_a_reader_waits_for_nobody_where_nobody_writes(tmp_path: Path) -> None:
    wait_for_writer(tmp_path / "of no table yet")
    wait_for_writer(tmp_path)
    with writing(tmp_path):
        pass
    wait_for_writer(tmp_path)


def test_writers_take_turns(tmp_path: Path) -> None:
    under_way: list[int] = []
    seen_together: list[list[int]] = []

    def write(number: int) -> None:
        with writing(tmp_path):
            under_way.append(number)
            threading.Event().wait(0.01)
            seen_together.append(list(under_way))
            under_way.remove(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(PATIENCE_SECONDS)
    assert sorted(seen_together) == [[number] for number in range(5)]
