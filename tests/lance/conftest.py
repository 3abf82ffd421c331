"""An object store for the tests: moto's server, which refuses to overwrite what must be new, as S3 does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.error import URLError

import pytest


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 with the bucket ``tests``."""
    if find_spec("moto") is None:
        missing = "no object store to test with: pip install 'moto[server]'"
        if os.environ.get("COLONNADE_REQUIRE_STORES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with Path(log).open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _make_bucket(endpoint, server)
        yield endpoint
    finally:
        server.kill()
        server.wait()


def _make_bucket(endpoint: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/tests", method="PUT")):
                return
        except (URLError, ConnectionError):
            assert server.poll() is None and time.monotonic() < until, "moto's server did not start"
            time.sleep(0.1)


_NUMBERS = count()


@pytest.fixture
def bucket(s3: str) -> str:
    """The address of a Lance store in an empty place of the bucket."""
    return f"lancedb+s3://KEY:SECRET@tests/place{next(_NUMBERS)}?endpoint={s3}&region=us-east-1"
