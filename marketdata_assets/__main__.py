"""The program `marketdata demo | dev | …`, and `python -m marketdata_assets` in its place.

Here belongs what has to happen before Dagster starts: reading the `.env` of the working folder,
choosing the profile's folder and placing `dagster.yaml` in it. What a command does is its own
module.
"""

import argparse
import datetime as dt
import json
import os
import signal
import sys
from pathlib import Path

from marketdata_assets import __version__
from marketdata_assets.command_texts import CommandParser, text
from marketdata_assets.env_file import UnreadableFile, settle
from marketdata_assets.errors import MarketdataError
from marketdata_assets.hosts import hosts, only_one_machine, several_hosts
from marketdata_assets.profile import profile_root
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.durable_files import becoming, refusals_told
from marketdata_assets.written_days import day_written

SHIPPED = Path(__file__).with_name("dagster.yaml")
NOT_FOR_OTHERS = 0o027
# What reads or writes the folder itself: a host of many has only its copies in it.
OF_ONE_MACHINE = {"accept", "backfill", "demo", "dev", "doctor", "excuse", "hub", "query"}
OF_ONE_MACHINE |= {"serve", "status"}
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

    def command(name: str, what: str) -> CommandParser:
        return commands.add_parser(name, help=text(what), description=text(what))

    demo = command("demo", "materialize the last trading days and show them")
    demo.add_argument("--days", type=_count, default=20, help="how many trading days (default 20)")
    dev = command("dev", "Dagster's UI and daemon, and the HTTP API")
    dev.add_argument("--port", type=_port, default=3000, help="the UI's port (default 3000)")
    host = "where the UI listens (default 127.0.0.1; elsewhere it needs UI_TOKEN)"
    dev.add_argument("--host", default="127.0.0.1", help=host)
    web = command("web", "Dagster's UI alone")
    web.add_argument("--port", type=_port, default=3000, help="the UI's port (default 3000)")
    web.add_argument("--host", default="127.0.0.1", help=host)
    command("daemon", "Dagster's daemon alone, which starts the runs")
    command("serve", "the HTTP API")
    command("worker", "of several hosts: takes the steps of runs")
    hub = command("hub", "serve the dataset published on this machine")
    hub.add_argument("--port", type=_port, default=8766, help="the port (default 8766)")
    publish = command("publish", "publish every stored day that is not published")
    publish.add_argument("--repository", default="", help="default: HF_DATASET_REPO's")
    command("verify", "compare the published dataset with the lake")
    command("restore", "fill the lake from the published dataset")
    copy = command("copy", "copy, back up or restore the data, to a folder or to S3")
    place = "the folder of a profile, like data/live, or s3://bucket/prefix"
    copy.add_argument("source", metavar="FROM", help=place)
    copy.add_argument("target", metavar="TO", help=place)
    backfill = command("backfill", "make the days of a range that are lacking")
    backfill.add_argument("first", metavar="FROM", type=_day, help="the first day")
    backfill.add_argument("last", metavar="TO", type=_day, help="the last day")
    backfill.add_argument(
        "--tables",
        type=lambda text: [name for name in text.split(",") if name],
        default=[],
        help="some tables alone, separated by commas (default: all of the evening)",
    )
    query = command("query", "the prices of a code, in the terminal or a file")
    query.add_argument("code", help="like 600000.SH")
    query.add_argument("first", metavar="FROM", nargs="?", type=_day, help="default: 30 days ago")
    query.add_argument("last", metavar="TO", nargs="?", type=_day, help="default: the last day")
    query.add_argument("--adjust", choices=["none", "qfq", "hfq"], default="none", help="adjusted")
    query.add_argument("--fields", default="", help="columns, separated by commas")
    query.add_argument("--out", default="", help="a file to write, .csv or .parquet")
    doctor = command("doctor", "what would stop the evening, and what to do")
    doctor.add_argument("--port", type=_port, default=3000, help="the UI's port (default 3000)")
    command("status", "the last evening, what is late, what runs next, the disk")
    found = command("findings", "what the checks found, share by share")
    found.add_argument("day", nargs="?", type=_day, help="a trading day (default: the last stored)")
    found.add_argument("--since", type=_day, help="all days from this one on")
    found.add_argument("--code", default="", help="of one share or fund alone, like 600000.SH")
    found.add_argument("--all", action="store_true", help="what is excused too")
    excuse = command("excuse", "accept what is found of one share")
    excuse.add_argument("code", help="the share or fund, like 600000.SH")
    excuse.add_argument("--check", default="", help="one check alone, like daily_kline.units")
    excuse.add_argument("--first", type=_day, help="from when on (default: as found)")
    excuse.add_argument("--last", type=_day, help="until when (default: as found)")
    excuse.add_argument("--reason", required=True, help="why it is right as it is")
    accept = command("accept", "accept a refused day of a table as it is")
    accept.add_argument("table", help="the table, like daily_kline")
    accept.add_argument("day", type=_day, help="the trading day")
    accept.add_argument("--reason", required=True, help="why it is right as it is")
    return parser


def main() -> int:
    arguments = command_parser().parse_args()
    try:
        notices = prepare()
        with refusals_told(f"{arguments.command} did not finish"):
            return _run(arguments, notices)
    except MarketdataError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(arguments: argparse.Namespace, notices: list[str]) -> int:
    if arguments.command in OF_ONE_MACHINE:
        only_one_machine(arguments.command)
    # Each imports what it needs: Dagster alone takes seconds.
    if arguments.command == "serve":
        from marketdata_assets.serve import serve_api

        print(*notices, sep="\n", end="\n" if notices else "", file=sys.stderr)
        return serve_api()
    if arguments.command == "dev":
        from marketdata_assets.dev import run_dev

        return run_dev(arguments.host, arguments.port, notices)
    if arguments.command in ("web", "daemon"):
        from marketdata_assets import dev

        if arguments.command == "daemon":
            return dev.run_daemon(notices)
        return dev.run_web(arguments.host, arguments.port, notices)
    if arguments.command == "copy":
        from marketdata_assets.copying import copy

        return copy(arguments.source, arguments.target)
    if arguments.command == "worker":
        shared = several_hosts("worker")
        from marketdata_assets.celery_steps import work

        return work(shared)
    if arguments.command == "demo":
        from marketdata_assets.demo import run_demo

        return run_demo(arguments.days)
    if arguments.command == "query":
        from marketdata_assets.query_command import query

        asked = arguments
        return query(asked.code, asked.first, asked.last, asked.adjust, asked.fields, asked.out)
    if arguments.command == "backfill":
        from marketdata_assets.backfilling import backfill

        return backfill(arguments.first, arguments.last, arguments.tables)
    if arguments.command in ("status", "doctor"):
        from marketdata_assets import operator_commands

        if arguments.command == "status":
            return operator_commands.show_status()
        return operator_commands.diagnose(arguments.port)
    if arguments.command in ("findings", "excuse", "accept"):
        return decide(arguments)
    from marketdata_assets import hub_commands

    run = {
        "hub": lambda: hub_commands.serve_hub(arguments.port),
        "publish": lambda: hub_commands.publish(arguments.repository),
        "verify": hub_commands.verify,
        "restore": hub_commands.restore_lake,
    }
    return run[arguments.command]()


def decide(arguments: argparse.Namespace) -> int:
    """The commands about findings."""
    from marketdata_assets import finding_commands

    if arguments.command == "findings":
        return finding_commands.show_findings(
            arguments.day, arguments.since, arguments.code, arguments.all
        )
    if arguments.command == "accept":
        return finding_commands.accept(arguments.table, arguments.day, arguments.reason)
    return finding_commands.excuse(
        arguments.code, arguments.check, arguments.first, arguments.last, arguments.reason
    )


def _day(text: str) -> dt.date:
    try:
        return day_written(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write a day, like 2024-03-06") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r}: write a port, a number up to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number, like 20")
    return int(text)


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
        raise UnreadableFile(home / ".env", f"move its settings to {file}")
    if (given := os.environ.get("DAGSTER_HOME")) and Path(given).resolve() != home:
        notices.append(f"DAGSTER_HOME is not taken: the run history of this profile is in {home}.")
    for name in ("SSH_KEY_PATH", "SSH_KNOWN_HOSTS"):
        if path := os.environ.get(name):
            os.environ[name] = str(Path(path).expanduser().absolute())
    os.environ["MARKETDATA_HOME"] = str(root.parent)
    os.environ["DAGSTER_HOME"] = str(home)
    return notices


def instance_settings(home: Path) -> bytes:
    """This version's `dagster.yaml`, and where run history is.

    On one machine in databases that want a full path; several hosts share a database, and what
    steps print.
    """
    if shared := hosts():
        bucket, _, prefix = shared.lake.removeprefix("s3://").partition("/")
        logs = {"bucket": bucket, "prefix": f"{prefix}/logs".strip("/")}
        parts = {
            "storage": ("marketdata_assets.storage.dagster_postgres", "SharedStorage", {}),
            "compute_logs": ("dagster_aws.s3.compute_log_manager", "S3ComputeLogManager", logs),
        }
        told = {
            name: {"module": module, "class": kind, "config": config}
            for name, (module, kind, config) in parts.items()
        }
        told["storage"] = {"custom": told["storage"]}
        lines = [f"{name}: {json.dumps(one)}\n" for name, one in told.items()]
        return SHIPPED.read_bytes() + "".join(["\n", *lines]).encode()
    databases = {"run_storage": ("Runs", ""), "event_log_storage": ("EventLog", "runs")}
    lines = []
    for name, (kind, folder) in databases.items():
        place = {"base_dir": str(home / "history" / folder)}
        storage = {"module": "marketdata_assets.storage.dagster_sqlite", "class": kind}
        # JSON is YAML, whatever signs the path has.
        lines.append(f"{name}: {json.dumps(storage | {'config': place}, ensure_ascii=False)}\n")
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
        how = f"{home} can't be written ({error.strerror}), make room or give write permission"
        raise SettingError("MARKETDATA_HOME", str(home.parent.parent), how) from None


if __name__ == "__main__":
    sys.exit(main())
