"""`python -m marketdata_assets.code_server SOCKET`: the definitions, loaded once for UI and daemon.

Here belongs how they are served and asked for, and that a server that has ended is started again.
Left to themselves both load their own, and the daemon does so anew every minute.

https://docs.dagster.io/deployment/code-locations/workspace-yaml
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from dagster._cli.code_server import start_command
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._grpc.client import DagsterGrpcClient

LOCATION = "marketdata_assets"
SECONDS_BETWEEN_PINGS = 5
SECONDS_BETWEEN_TRIES = 0.1
# A busy machine takes minutes.
SECONDS_TO_LOAD = 600
# The server ends with this process's group: not because a laptop has slept.
SECONDS_WITHOUT_HEARTBEAT = 10**8
HOW = (
    *("--module-name", "marketdata_assets.definitions", "--attribute", "defs"),
    *("--location-name", LOCATION, "--working-directory", str(Path(__file__).parent)),
    *("--startup-timeout", str(SECONDS_TO_LOAD)),
    *("--heartbeat-ttl", str(SECONDS_WITHOUT_HEARTBEAT), "--log-level", "warning"),
)


def target(socket: str) -> GrpcServerTarget:
    """What is served at `socket`, once it is."""
    while not Path(socket).exists():
        time.sleep(SECONDS_BETWEEN_TRIES)
    return GrpcServerTarget(host="localhost", port=None, socket=socket, location_name=LOCATION)


def main() -> None:
    [socket] = sys.argv[1:]
    client, ending = DagsterGrpcClient(socket=socket), threading.Event()

    def end(*_: object) -> None:
        """Let the server end when its runs have. Dagster's own end takes more than 3 s."""
        ending.set()
        with suppress(DagsterUserCodeUnreachableError):
            client.shutdown_server()
            while client.ping(""):
                time.sleep(SECONDS_BETWEEN_TRIES)
        os.killpg(0, signal.SIGKILL)

    # Dagster's command makes this what SIGTERM does too.
    signal.signal(signal.SIGINT, end)
    # Of one that was killed.
    Path(socket).unlink(missing_ok=True)
    threading.Thread(target=_keep_server, args=(client, ending), daemon=True).start()
    start_command([*HOW, "--socket", socket])


def _keep_server(client: DagsterGrpcClient, ending: threading.Event) -> None:
    """Have the server started again when it has ended, which Dagster does at a reload alone."""
    while not ending.wait(SECONDS_BETWEEN_PINGS):
        if not Path(str(client.socket)).exists():
            continue
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError:
            if ending.is_set():
                return
            print("The code server has ended and is started again.", file=sys.stderr, flush=True)
            with suppress(DagsterUserCodeUnreachableError):
                client.reload_code(SECONDS_TO_LOAD)


if __name__ == "__main__":
    main()
