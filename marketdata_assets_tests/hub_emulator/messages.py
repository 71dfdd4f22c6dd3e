"""Requests and answers of the Hub's protocol, as text and bytes.

Here belongs their form. What is answered is `repositories`, `commits` and `downloads`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Request:
    """One request: `body` is read by whoever answers, at most once."""

    method: str
    target: str
    headers: dict[str, str]
    stream: BufferedIOBase | BinaryIO
    base_url: str

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def size(self) -> int:
        return int(self.headers.get("content-length", 0))

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(_chunks(self.stream))
        return self.stream.read(self.size)

    def json(self) -> Any:
        return json.loads(self.body())


@dataclass
class Answer:
    status: int
    body: bytes | Path = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: object, status: int = 200) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, {"Content-Type": "application/json"})


def refused(status: int, message: str, code: str = "") -> Answer:
    """An error as the Hub words it: in the body and in the headers."""
    answer = as_json({"error": message}, status)
    answer.headers |= {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return answer


def _chunks(stream: BufferedIOBase | BinaryIO) -> Iterator[bytes]:
    while size := int(stream.readline().split(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
