"""A server's process that begins as it should, and then says what it should not; `secret` says what."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from typing import Any

_HEAD = struct.Struct(">I")


def main() -> None:
    end = socket.socket(fileno=json.loads(sys.argv[2])["channel"])

    def hear() -> Any:
        (length,) = _HEAD.unpack(end.recv(4, socket.MSG_WAITALL))
        return json.loads(end.recv(length, socket.MSG_WAITALL))

    def say(content: bytes) -> None:
        end.sendall(_HEAD.pack(len(content)) + content)

    begin = hear()
    say(json.dumps({"kind": "begun", "number": begin["number"], "closed": 7, "alone": True}).encode())
    while (order := hear())["kind"] != "serve":
        pass
    version = order["versions"][0]["record"]["version"]
    one: dict[str, Any] = {"version": version, "digest": "0" * 64, "rows": 10, "largest": 0.0}
    answer: dict[str, Any] = {"kind": "served", "number": order["number"], "name": order["name"], "versions": [one]}
    lies = {
        "rubbish": b'{"kind": "served", "signed": true}',
        "other": json.dumps(answer).encode(),
        "unasked": json.dumps({**answer, "number": 12}).encode(),
        "nan": json.dumps({**answer, "versions": [{**one, "largest": float("nan")}]}).encode(),
    }
    if begin["secret"] == "much":
        end.sendall(_HEAD.pack(1 << 30) + b" " * (1 << 20))
    while begin["secret"] == "often":
        say(b'{"kind": "remark", "text": "hello"}')
    say(lies.get(begin["secret"], b"{}"))
    hear()
    os._exit(0)
