"""A hub for datasets on this machine: the Hugging Face protocol over HTTP, faults on demand.

store      repositories on disk: content-addressed blobs, commits, one head, many processes
xet        content that came through xet
served     a store, and by which ways content comes and goes
messages   the form of requests and answers
repositories, commits, downloads    what is answered
protocol   which request is for what
server     HTTP, the request log, and the faults that are waiting to happen
faults     what can go wrong between a publisher and the hub
embedded   the hub of a process, as the platform's publisher sees it

    python -m marketdata_assets_tests.hub_emulator --root data/sandbox/hub --port 8766
"""
