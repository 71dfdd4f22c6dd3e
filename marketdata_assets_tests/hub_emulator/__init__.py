"""The Hugging Face Hub as tests need it: its protocol for datasets over HTTP, faults on demand.

store      repositories on disk: content-addressed blobs, commits, one head, many processes
xet        content that came through xet
served     a store, and by which ways content comes and goes
messages   the form of requests and answers
repositories, commits, downloads    what is answered
protocol   which request is for what
server     HTTP, the request log, and the faults that are waiting to happen
faults     what can go wrong between a publisher and the hub

    python -m marketdata_assets_tests.hub_emulator --root /tmp/hub --port 8766
"""
