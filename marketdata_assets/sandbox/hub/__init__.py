"""A hub for datasets on this machine: the Hugging Face protocol over HTTP, faults on demand.

store      repositories on disk: content-addressed blobs, commits, one head, many processes
protocol   what every request of the protocol is answered with
server     HTTP, the request log, and the faults that are waiting to happen
faults     what can go wrong between a publisher and the hub

    python -m marketdata_assets.sandbox.hub --root data/sandbox/hub --port 8766
"""
