"""A server's process for tests: started, waited for, and killed by its id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

PATIENCE: Final = 60.0
"""Seconds in which a server has to come up; most take one or two."""


class Process:
    """A server over the data of a folder: it can be killed, and started again. What it says is in ``output.log``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str | Path], **options: Any) -> None:
        """Start it, without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, **options)

    def until(self, ask: Callable[[], object], again: Callable[[], object] | None = None) -> None:
        """Wait until it answers, which asking it tells. If it ends meanwhile, ``again`` starts it once more."""
        late = time.monotonic() + PATIENCE
        while True:
            try:
                ask()
            except Exception:  # whatever a driver says of a server that is not there yet
                said = (self.folder / "output.log").read_text(errors="replace")
                assert time.monotonic() < late, f"the server does not answer:\n{said}"
                assert self._process is not None
                if self._process.poll() is not None:
                    assert again is not None, f"the server ended:\n{said}"
                    again()
                time.sleep(0.03)
            else:
                return

    @property
    def pid(self) -> int:
        """Its id, while it runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it without warning."""
        self.end(os.kill, signal.SIGKILL)

    def end(self, send: Callable[[int, signal.Signals], None], how: signal.Signals) -> None:
        """Send it (``os.kill``), or its group (``os.killpg``), a signal, and wait for its end."""
        if self._process is not None:
            send(self._process.pid, how)
            self._process.wait()
            self._process = None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def listens(port: int) -> None:
    """Connect with a port; ``OSError`` where nobody listens."""
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
