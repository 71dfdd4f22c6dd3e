"""The program `marketdata demo | dev | …`, and `python -m marketdata_assets` in its place.

Here belongs what has to happen before Dagster starts: reading the `.env` of the working folder,
choosing the profile's folder and placing `dagster.yaml` in it. What a command does is its own
module.
"""

import argparse
import datetime as dt
import io
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from marketdata_assets import __version__
from marketdata_assets.command_texts import CommandParser, text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import hosts, only_one_machine, several_hosts
from marketdata_assets.profile import profile_root
from marketdata_assets.settings import SettingError, UnreadableFile, path, settle
from marketdata_assets.storage.durable_files import becoming, refusals_told
from marketdata_assets.trading_calendar import day_written

SHIPPED = Path(__file__).with_name("dagster.yaml")
NOT_FOR_OTHERS = 0o027
# What reads or writes the folder itself: a host of many has only its copies in it.
OF_ONE_MACHINE = {"backfill", "demo", "dev", "doctor", "hub", "query"}
OF_SEVERAL_HOSTS = {"worker"}
# Each says itself what a user may wonder about.
TELL_NOTICES = {"daemon", "dev", "web"}
DESCRIPTION = (
    "Chinese market data as Dagster assets. Data and run history are in MARKETDATA_HOME, settings "
    "in .env, both looked for in the working folder."
)


def command_parser() -> CommandParser:
    """All commands with their arguments; the texts are those of `command_texts`."""
    parser = CommandParser(prog="marketdata", description=text(DESCRIPTION))
    version = {"version": f"%(prog)s {__version__}", "help": "show the version and exit"}
    parser.add_argument("--version", action="version", **version)
    commands = parser.add_subparsers(
        dest="command", required=True, title=text("commands"), metavar="COMMAND"
    )

    def command(name: str, what: str, runs: str) -> CommandParser:
        """`runs` is a module and its function, whose arguments are called as those here."""
        parser = commands.add_parser(name, help=text(what), description=text(what))
        parser.set_defaults(runs=runs)
        return parser

    demo = command("demo", "materialize the last trading days and show them", "demo.run_demo")
    demo.add_argument("--days", type=_count, default=20, help="how many trading days (default 20)")
    dev = command("dev", "Dagster's UI and daemon, and the HTTP API", "dev.run_dev")
    dev.add_argument("--port", type=_port, default=3000, help="the UI's port (default 3000)")
    host = "where the UI listens (default 127.0.0.1; elsewhere it needs UI_TOKEN)"
    dev.add_argument("--host", default="127.0.0.1", help=host)
    web = command("web", "Dagster's UI alone", "dev.run_web")
    web.add_argument("--port", type=_port, default=3000, help="the UI's port (default 3000)")
    web.add_argument("--host", default="127.0.0.1", help=host)
    command("daemon", "Dagster's daemon alone, which starts the runs", "dev.run_daemon")
    command("serve", "the HTTP API", "serve.serve_api")
    command("worker", "of several hosts: takes the steps of runs", "celery_steps.work")
    hub = command("hub", "serve the dataset published on this machine", "hub_commands.serve_hub")
    hub.add_argument("--port", type=_port, default=8766, help="the port (default 8766)")
    publish = command(
        "publish", "publish every stored day that is not published", "hub_commands.publish"
    )
    publish.add_argument("--repository", default="", help="default: HF_DATASET_REPO's")
    command("verify", "compare the published dataset with the lake", "hub_commands.verify")
    command("restore", "fill the lake from the published dataset", "hub_commands.restore_lake")
    copy = command(
        "copy", "copy, back up or restore the data, to a folder or to S3", "copying.copy"
    )
    place = "the folder of a profile, like data/live, or s3://bucket/prefix"
    copy.add_argument("source", metavar="FROM", help=place)
    copy.add_argument("target", metavar="TO", help=place)
    backfill = command(
        "backfill", "make the days of a range that are lacking", "backfilling.backfill"
    )
    backfill.add_argument("first", metavar="FROM", type=_day, help="the first day")
    backfill.add_argument("last", metavar="TO", type=_day, help="the last day")
    backfill.add_argument(
        "--tables",
        type=lambda names: [name for name in names.split(",") if name],
        default=[],
        help="some tables alone, separated by commas (default: all of the evening)",
    )
    query = command(
        "query", "the prices of a code, in the terminal or a file", "query_command.query"
    )
    query.add_argument("code", help="like 600000.SH")
    query.add_argument("first", metavar="FROM", nargs="?", type=_day, help="default: 30 days ago")
    query.add_argument("last", metavar="TO", nargs="?", type=_day, help="default: the last day")
    query.add_argument("--adjust", choices=["none", "qfq", "hfq"], default="none", help="adjusted")
    query.add_argument("--fields", default="", help="columns, separated by commas")
    query.add_argument("--out", default="", help="a file to write, .csv or .parquet")
    doctor = command(
        "doctor", "what would stop the evening, and what to do", "operator_commands.diagnose"
    )
    doctor.add_argument("--port", type=_port, default=3000, help="the UI's port (default 3000)")
    command(
        "status",
        "the last evening, what is late, what runs next, the disk",
        "operator_commands.show_status",
    )
    found = command(
        "findings", "what the checks found, share by share", "finding_commands.show_findings"
    )
    found.add_argument("day", nargs="?", type=_day, help="a trading day (default: the last stored)")
    found.add_argument("--since", type=_day, help="all days from this one on")
    found.add_argument("--code", default="", help="of one share or fund alone, like 600000.SH")
    found.add_argument(
        "--all", dest="with_excused", action="store_true", help="what is excused too"
    )
    excuse = command("excuse", "accept what is found of one share", "finding_commands.excuse")
    excuse.add_argument("code", help="the share or fund, like 600000.SH")
    excuse.add_argument("--check", default="", help="one check alone, like daily_kline.units")
    excuse.add_argument("--first", type=_day, help="from when on (default: as found)")
    excuse.add_argument("--last", type=_day, help="until when (default: as found)")
    excuse.add_argument("--reason", required=True, help="why it is right as it is")
    accept = command(
        "accept", "accept a refused day of a table as it is", "finding_commands.accept"
    )
    accept.add_argument("table", help="the table, like daily_kline")
    accept.add_argument("day", type=_day, help="the trading day")
    accept.add_argument("--reason", required=True, help="why it is right as it is")
    return parser


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can't show a sign is no reason to end.
            stream.reconfigure(errors="replace")
    arguments = command_parser().parse_args()
    try:
        notices = prepare()
        with refusals_told(text("{command} did not finish", command=arguments.command)):
            return _run(arguments, notices)
    except MarketdataError as error:
        print(text(str(error)), file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(arguments: argparse.Namespace, notices: list[str]) -> int:
    given = vars(arguments)
    command, (module, _, function) = given.pop("command"), given.pop("runs").partition(".")
    if command in OF_ONE_MACHINE:
        only_one_machine(command)
    if command in OF_SEVERAL_HOSTS:
        given["shared"] = several_hosts(command)
        # Its processes have short steps: pyarrow's allocator, which looks when it is imported,
        # would have 2 MB cleared for every few rows of each.
        os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
    if command in TELL_NOTICES:
        given["notices"] = notices
    elif command == "serve":
        print(*notices, sep="\n", end="\n" if notices else "", file=sys.stderr)
    # Each imports what it needs: Dagster alone takes seconds.
    code: int = getattr(import_module(f"{__package__}.{module}"), function)(**given)
    return code


def _day(written: str) -> dt.date:
    try:
        return day_written(written)
    except ValueError:
        raise _refused(written, "write a day, like {default}", "2024-03-06") from None


def _port(written: str) -> int:
    if not (written.isascii() and written.isdigit() and 0 < int(written) < 65_536):
        raise _refused(written, "write a port, a number up to 65535")
    return int(written)


def _count(written: str) -> int:
    if not (written.isascii() and written.isdigit() and int(written) > 0):
        raise _refused(written, "write a whole number above 0, like {default}", "20")
    return int(written)


def _refused(written: str, how: str, default: str = "") -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{written!r}: {text(how, default=default)}")


def prepare() -> list[str]:
    """Settings from `.env`, absolute folders, and DAGSTER_HOME under the profile's folder.

    From here on the environment is the one place where settings are, for children too. Returns
    what a user may wonder about, a line each.
    """
    # The user's group may read the data folder, others nothing: so it is for children too.
    os.umask(os.umask(NOT_FOR_OTHERS) | NOT_FOR_OTHERS)
    file = Path(".env").absolute()
    notices = settle(os.environ, file)
    root = profile_root()
    home = root / "dagster"
    _make_home(home)
    if (home / ".env").exists():
        # Dagster would read it over everything that was decided here.
        raise UnreadableFile(home / ".env", "move its settings to {file}", file=file)
    if (given := os.environ.get("DAGSTER_HOME")) and Path(given).resolve() != home:
        taken = "DAGSTER_HOME is not taken: the run history of this profile is in {folder}."
        notices.append(text(taken, folder=home))
    for name in ("SSH_KEY_PATH", "SSH_KNOWN_HOSTS"):
        if written := os.environ.get(name):
            os.environ[name] = str(path(name, written).absolute())
    os.environ["MARKETDATA_HOME"] = str(root.parent)
    os.environ["DAGSTER_HOME"] = str(home)
    return notices


def instance_settings(home: Path) -> bytes:
    """This version's `dagster.yaml`, and where run history is.

    On one machine in databases that want a full path; several hosts share a database, and what
    steps print.
    """
    module = "marketdata_assets.storage"
    parts: dict[str, object]
    if hosts():
        # Where both are they know by the settings.
        shared = {"module": f"{module}.dagster_postgres", "class": "SharedStorage"}
        printed = {"module": f"{module}.printed_objects", "class": "PrintedObjects"}
        parts = {"storage": {"custom": shared}, "compute_logs": printed}
    else:
        sqlite, runs = f"{module}.dagster_sqlite", {"base_dir": str(home / "history")}
        events = {"base_dir": str(home / "history" / "runs")}
        parts = {
            "run_storage": {"module": sqlite, "class": "Runs", "config": runs},
            "event_log_storage": {"module": sqlite, "class": "EventLog", "config": events},
        }
    # JSON is YAML, whatever signs the path has.
    lines = [f"{name}: {json.dumps(one, ensure_ascii=False)}\n" for name, one in parts.items()]
    return SHIPPED.read_bytes() + "".join(["\n", *lines]).encode()


def _make_home(home: Path) -> None:
    """A folder to write in, with this version's `dagster.yaml`. Raises `SettingError`."""
    settings, place = instance_settings(home), home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        is_there = place.exists() and place.read_bytes() == settings
        # What is there already needs no room; others may read it at this moment.
        if not (is_there and os.access(home, os.W_OK)):
            with becoming(place) as unfinished:
                unfinished.write_bytes(settings)
    except OSError as error:
        how = "{folder} can't be written ({said}), make room or give write permission"
        said = {"folder": home, "said": error.strerror}
        raise SettingError("MARKETDATA_HOME", str(home.parent.parent), how, **said) from None


if __name__ == "__main__":
    sys.exit(main())
