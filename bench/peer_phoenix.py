"""Arize Phoenix, measured from outside: its own server over SQLite, fed through OTLP. Runs in its own virtualenv.

What makes the requests is not counted, only the CPU of the server, from the first request until the last span is in its
database: it answers 200 as soon as a span is in its memory.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from opentelemetry.exporter.otlp.proto.common.trace_encoder import (  # type: ignore[import-not-found,unused-ignore]
    encode_spans,
)

from bench import measure
from bench.otel import sdk_spans

BATCH = 512
START = 180.0
"""Seconds that the server may take to start ..."""
STORE = 600.0
"""... and to store everything."""


def main(file: str, rows: int, folder: str) -> dict[str, Any]:
    """Store the first spans of an Arrow file, and read traces back."""
    with pa.memory_map(file) as source:
        made = pa.ipc.open_file(source).read_all().slice(0, rows)
    parts = [sdk_spans(made.slice(start, BATCH)) for start in range(0, rows, BATCH)]
    requests = [gzip.compress(encode_spans(part).SerializeToString(), 1) for part in parts]
    traces = made.column("traceId").unique().to_pylist()
    port, grpc = _free_port(), _free_port()
    settings = {
        "PHOENIX_WORKING_DIR": folder,
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        "PHOENIX_ENABLE_MCP_SERVER": "false",
    }
    command = [sys.executable, "-m", "phoenix.server.main", "serve"]
    with Path(folder, "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        _until(lambda: _get(port, "/healthz") == 200, START, server)
        return _measured(server, port, Path(folder, "phoenix.db"), requests, traces, rows)
    finally:
        server.terminate()
        server.wait()


def _measured(
    server: subprocess.Popen[bytes], port: int, database: Path, requests: list[bytes], traces: list[str], rows: int
) -> dict[str, Any]:
    begun, cpu = time.perf_counter(), measure.tree_cpu(server.pid)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    for body in requests:
        while True:
            connection.request("POST", "/v1/traces", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 503:  # its queue is full
                break
            time.sleep(0.2)
        if answer.status != 200:
            raise RuntimeError(f"Phoenix answered {answer.status}")
    accepted = time.perf_counter() - begun
    _until(lambda: _count(database) >= rows, STORE, server)
    wall, cpu = time.perf_counter() - begun, measure.tree_cpu(server.pid) - cpu

    connection = http.client.HTTPConnection("127.0.0.1", port)  # the first was closed as idle meanwhile

    def trace(turn: int) -> None:
        wanted = traces[turn * 37 % len(traces)]
        connection.request("GET", f"/v1/projects/default/spans?trace_id={wanted}&limit=1000")
        if not json.loads(connection.getresponse().read())["data"]:
            raise RuntimeError("the trace is not there")

    (read,) = measure.turns(trace, times=50)
    export = _exported(port, rows)
    size = sum(each.stat().st_size for each in database.parent.glob("phoenix.db*"))
    return {
        "rows": rows,
        "wall": wall,
        "cpu": cpu,
        "accepted": accepted,
        "get_trace": measure.summary(read),
        "export": export,
        "bytes": size,
        "rss": measure.tree_rss(server.pid),
    }


def _exported(port: int, rows: int) -> dict[str, float]:
    """All spans as a frame, by Phoenix's own client, without the limit of 1,000 and the five seconds that it has."""
    from phoenix.client import Client  # type: ignore[import-not-found,unused-ignore]

    client = Client(base_url=f"http://127.0.0.1:{port}")
    with measure.spent() as took:
        frame = client.spans.get_spans_dataframe(project_identifier="default", limit=rows, timeout=600)
    if len(frame) != rows:
        raise RuntimeError(f"{len(frame)} of {rows} spans were exported")
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _get(port: int, path: str) -> int:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0


def _count(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def _until(holds: Any, seconds: float, server: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    while not holds():
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}; see server.log")
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"not within {seconds:.0f} seconds")
        time.sleep(0.25)


if __name__ == "__main__":
    print("\n" + json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
