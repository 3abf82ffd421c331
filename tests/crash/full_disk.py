"""A store on a disk that gets full, in a process of its own. Run by test_disk.py.

``python full_disk.py FOLDER tmpfs`` where the folder is a small file system of its own; ``... limit`` where no file may
become larger than a limit.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.stores.embedded import merging
from colonnade.errors import StoreError

WHEN = "2026-01-01T00:00:00Z"


class Disk:
    """A disk that can be full."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._ballast = folder / "ballast"
        self._kind = kind

    def fill(self, left: int = 0) -> None:
        """Leave no room but a little."""
        if self._kind == "limit":
            soft = max(left, 8)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            return
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        with self._ballast.open("r+b") as file:
            file.truncate(max(self._ballast.stat().st_size - left, 0))

    def clear(self) -> None:
        """Make room."""
        if self._kind == "limit":
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        else:
            self._ballast.unlink(missing_ok=True)


class Agent:
    """Writes spans and messages, and knows what was acknowledged."""

    def __init__(self, path: Path) -> None:
        self.store: Any = colonnade.open(path)
        self.path = path
        self.spans: list[str] = []
        self.messages: list[str] = []
        self._made = 0

    def span(self) -> None:
        """Write a span of its own trace, of twenty kilobytes."""
        self._made += 1
        trace = f"t{self._made:05}"
        span = {"traceId": trace, "spanId": "1", "name": "n", "startedAt": WHEN, "endedAt": WHEN, "input": "x" * 20_000}
        self.store.observability.create_span(span=span)
        self.spans.append(trace)

    def message(self) -> None:
        """Write a message of twenty kilobytes."""
        self._made += 1
        name = f"m{self._made:05}"
        message = {"id": name, "threadId": "t", "resourceId": "r", "role": "user", "content": "x" * 20_000}
        self.store.memory.save_messages(messages=[message])
        self.messages.append(name)

    def look(self) -> None:
        """All that was acknowledged is there, and nothing else."""
        found = self.store.sql("select traceId from spans order by traceId").rows()
        assert [row["traceId"] for row in found] == self.spans, (len(found), len(self.spans))
        found = self.store.sql("select id from messages order by id").rows()
        assert [row["id"] for row in found] == self.messages, (len(found), len(self.messages))


def refused(work: Callable[[], object], tries: int = 10_000) -> str:
    """What is said at last."""
    for _ in range(tries):
        try:
            work()
        except StoreError as error:
            return str(error)
    raise AssertionError("the disk never got full")


def unfinished(agent: Agent) -> list[str]:
    """What sealing left behind."""
    return [path.name for path in (agent.path / "segments").iterdir() if path.name.startswith(".")]


def writing(disk: Disk, agent: Agent) -> None:
    """Writes fail, what was written can be read, and there is room again."""
    for _ in range(20):
        agent.span()
    agent.message()
    disk.fill(100_000)
    assert "nothing was written" in refused(agent.span)
    agent.look()
    disk.fill()
    for _ in range(3):
        assert "nothing was written" in refused(agent.span, 1)
    said = refused(agent.message)
    assert "full" in said or "I/O error" in said, said
    agent.look()
    disk.clear()
    agent.span()
    agent.message()
    agent.look()


def sealing(disk: Disk, agent: Agent) -> None:
    """Sealing fails and is made up for."""
    for _ in range(60):
        agent.span()
    disk.fill(30_000)
    assert "nothing is lost" in refused(agent.store.optimize, 1)
    agent.look()
    assert unfinished(agent) == []
    embedded = agent.store.stores[0]
    embedded._upkeep.hurry()
    assert embedded._upkeep._thread.is_alive()
    disk.clear()
    agent.store.optimize()
    agent.look()
    assert list((agent.path / "logs").iterdir()) == []


def merging_segments(disk: Disk, agent: Agent) -> None:
    """Merging fails and is made up for."""
    vars(merging)["TIERS"] = ()
    for _ in range(4):
        for _ in range(5):
            agent.span()
        agent.store.stores[0].optimize(merge=False)
    assert len(list((agent.path / "segments").glob("*.duckdb"))) == 4
    disk.fill(30_000)
    assert "nothing is lost" in refused(agent.store.optimize, 1)
    agent.look()
    assert unfinished(agent) == []
    disk.clear()
    agent.store.optimize()
    agent.look()
    assert len(list((agent.path / "segments").glob("*.duckdb"))) == 1


def opening(disk: Disk, agent: Agent) -> None:
    """A store cannot be made where there is no room, and nothing that is there suffers."""
    disk.fill()
    said = refused(lambda: colonnade.open(agent.path.with_name("other")).close(), 1)
    assert "nothing was written" in said or "full" in said or "I/O error" in said, said
    agent.look()
    disk.clear()
    colonnade.open(agent.path.with_name("other")).close()


def main(folder: Path, kind: str) -> None:
    """One after the other, and a look by another process's eyes at the end."""
    disk = Disk(folder, kind)
    for work in (writing, sealing, merging_segments, opening):
        agent = Agent(folder / work.__name__)
        work(disk, agent)
        agent.store.close()
        report = colonnade.fsck(agent.path, full=True)
        assert report.clean, report
        agent.store = colonnade.open(agent.path)
        agent.look()
        agent.store.close()
        if kind == "tmpfs":
            for path in sorted(agent.path.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
        sys.stdout.write(f"{work.__name__}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
