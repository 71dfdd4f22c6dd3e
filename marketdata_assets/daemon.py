"""`python -m marketdata_assets.daemon SOCKET LEVEL`: Dagster's daemon on a code server of ours.

Here belongs what Dagster's own command can't. It names the code location after the socket, so that
each start would lose the state of schedules and sensors, and it doesn't wait for the server.
"""

import os
import sys
from contextlib import suppress

import dagster as dg
from dagster._daemon.controller import daemon_controller_from_instance
from dagster._utils.interrupts import capture_interrupts

from marketdata_assets.code_server import target
from marketdata_assets.run_launcher import CODE_SERVER


def main() -> None:
    socket, level = sys.argv[1:]
    os.environ[CODE_SERVER] = socket
    served = target(socket)
    with (
        suppress(KeyboardInterrupt),
        capture_interrupts(),
        dg.DagsterInstance.get() as instance,
        daemon_controller_from_instance(instance, served, log_level=level) as controller,
    ):
        controller.check_daemon_loop()


if __name__ == "__main__":
    main()
