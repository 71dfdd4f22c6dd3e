"""The part of `series` that runs in ArcticDB's own environment: questions in, latencies out.

Here belongs what needs `arcticdb`; nothing of the platform can be imported.
"""

import json
import resource
import sys
import time

import arcticdb
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.latency import timed


def main() -> None:
    question = json.load(sys.stdin)
    library = arcticdb.Arctic(f"lmdb://{question['folder']}?map_size=20GB").get_library(
        "prices", create_if_missing=True
    )
    for code, frame in _by_code(question["history"]):
        library.write(code, frame)
    days = list(_by_code(question["day"]))
    began = time.perf_counter()
    library.append_batch([arcticdb.WritePayload(code, frame) for code, frame in days])
    append_seconds = time.perf_counter() - began

    codes, columns = question["codes"], question["columns"]
    ten_years = tuple(map(pd.Timestamp, question["ten_years"]))
    one_year = tuple(map(pd.Timestamp, question["one_year"]))

    def fifty(number: int) -> object:
        requests = [
            arcticdb.ReadRequest(code, date_range=one_year, columns=columns)
            for code in codes[number : number + 50]
        ]
        return [item.data for item in library.read_batch(requests)]

    def one(number: int) -> object:
        return library.read(codes[number], date_range=ten_years, columns=columns).data

    answer = {
        "version": arcticdb.__version__,
        "append_seconds": append_seconds,
        "one": timed(one, len(codes)),
        "fifty": timed(fifty, 200),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(answer))


def _by_code(path: str):  # type: ignore[no-untyped-def]
    """A frame a code, indexed by date; ArcticDB takes no other dates."""
    frame = pq.read_table(path).to_pandas(date_as_object=False)
    for code, rows in frame.groupby("code", sort=False):
        yield code, rows.drop(columns=["code"]).set_index("date")


if __name__ == "__main__":
    main()
