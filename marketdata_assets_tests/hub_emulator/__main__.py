"""The hub as a command: python -m marketdata_assets_tests.hub_emulator --root /tmp/hub."""

import argparse
from pathlib import Path

from marketdata_assets_tests.hub_emulator.protocol import HubProtocol
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import HubStore


def main() -> None:
    parser = argparse.ArgumentParser(description="A hub for datasets on this machine.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8766)
    arguments = parser.parse_args()
    with HubServer(HubProtocol(HubStore(arguments.root)), arguments.port) as server:
        print(f"A hub on {server.url} over {arguments.root}; any token will do. Ctrl-C ends it.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
