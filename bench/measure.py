"""How things are measured: turns, medians, CPU seconds and memory of a whole tree of processes, fresh interpreters."""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Spent:
    """What a piece of work took: seconds on the clock, and seconds of CPU over all threads and child processes."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


@contextmanager
def spent() -> Iterator[Spent]:
    """Measure a block: ``with spent() as took: ...``; ``took`` is filled in at its end."""
    took = Spent()
    cpu, wall = cpu_seconds(), time.perf_counter()
    yield took
    took.wall, took.cpu = time.perf_counter() - wall, cpu_seconds() - cpu


def cpu_seconds() -> float:
    """CPU of this process with all its threads, and of its children, those that run and those that are gone."""
    gone = resource.getrusage(resource.RUSAGE_CHILDREN)
    mine = time.process_time() + gone.ru_utime + gone.ru_stime
    return mine + sum(_cpu(pid) for pid in descendants(os.getpid()))


def tree_cpu(pid: int) -> float:
    """The same of another process."""
    return sum(_cpu(each) for each in (pid, *descendants(pid)))


def clock_with(*pids: int) -> Callable[[], float]:
    """A clock of the CPU seconds of this process and of others, exact enough for an answer of a millisecond."""
    if sys.platform != "linux":
        return lambda: time.process_time() + sum(map(tree_cpu, pids))
    # The clock of another process has a number, as the C library's clock_getcpuclockid makes it.
    clocks = [(~pid << 3) | 2 for pid in pids]
    return lambda: time.process_time() + sum(map(time.clock_gettime, clocks))


def tree_rss(pid: int) -> int:
    """Bytes of memory that a process and its descendants hold now."""
    return sum(int(_proc(each, "statm", "0 0").split()[1]) * _PAGE for each in (pid, *descendants(pid)))


def descendants(pid: int) -> list[int]:
    """Processes that a process started, and those that they started; none where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit() and (fields := _stat(int(entry))):
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICK if fields else 0.0  # with its children that are gone


def _stat(pid: int) -> list[str]:
    # The name, in brackets, may hold anything: what follows the last bracket is plain.
    return _proc(pid, "stat", "").rpartition(")")[2].split()


def _proc(pid: int, name: str, missing: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return missing


def peak_rss() -> int:
    """Bytes of the most memory that this process has held since it began."""
    for line in _proc(os.getpid(), "status", "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@dataclass(slots=True)
class Times:
    """Seconds that each of some calls took, on the clock and of CPU."""

    wall: list[float]
    cpu: list[float]


def turns(
    *calls: Callable[[int], Any], times: int, seconds: float = 5.0, clock: Callable[[], float] = time.process_time
) -> list[Times]:
    """What some calls took, one after the other in turn, so that a slow moment falls on all.

    Each is called up to ``times`` times with the number of the turn, within ``seconds`` altogether but at least five
    times; one turn before is not counted. ``clock`` tells CPU seconds: of this process, or of others too.
    """
    took = [Times([], []) for _ in calls]
    for call in calls:
        call(0)
    gc.collect()
    begun = time.perf_counter()
    for turn in range(1, times + 1):
        for call, seen in zip(calls, took, strict=True):
            cpu, start = clock(), time.perf_counter()
            call(turn)
            seen.wall.append(time.perf_counter() - start)
            seen.cpu.append(clock() - cpu)
        if turn >= min(5, times) and time.perf_counter() - begun > seconds:
            break
    return took


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def summary(times: Times) -> dict[str, float]:
    """In milliseconds, for JSON."""
    return {
        "p50": median(times.wall) * 1000,
        "p99": p99(times.wall) * 1000,
        "cpu_p50": median(times.cpu) * 1000,
        "times": len(times.wall),
    }


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred exceeds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def yardsticks() -> dict[str, float]:
    """Milliseconds of two things that never change, by which runs on machines, or on busy ones, can be compared."""
    import duckdb

    connection = duckdb.connect()
    ask, loop = turns(
        lambda turn: connection.execute("SELECT 1").fetchall(), lambda turn: sum(range(100_000)), times=50, seconds=2
    )
    return {"duckdb_select_1": median(ask.wall) * 1000, "python_loop": median(loop.wall) * 1000}


def in_fresh(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call a module's function in a fresh interpreter; what it gives, through JSON.

    Where that is a dict, ``peak_rss`` is added: the most bytes that the process held, or that its tree of processes was
    seen to hold at once, whichever is more.

    With ``COLONNADE_BENCH_HERE`` it is called in this process: tests, which measure nothing, wait for no interpreter.
    """
    if os.environ.get("COLONNADE_BENCH_HERE"):
        given = function(**arguments)
        return json.loads(json.dumps(given | {"peak_rss": peak_rss()} if isinstance(given, dict) else given))
    code = "import sys, bench.measure; bench.measure.serve(*sys.argv[1:])"
    command = [sys.executable, "-c", code, function.__module__, function.__name__, json.dumps(arguments)]
    # What is imported is compiled once and kept, as where it is installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    seen = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen[0] = max(seen[0], tree_rss(process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    said, _ = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{function.__module__}.{function.__name__} failed; its error is above")
    answer = json.loads(said.splitlines()[-1])
    if isinstance(answer, dict):
        answer["peak_rss"] = max(answer["peak_rss"], seen[0])
    return answer


def serve(module: str, function: str, arguments: str) -> None:
    """The other end of ``in_fresh``."""
    answer = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    if isinstance(answer, dict):
        answer["peak_rss"] = peak_rss()
    print("\n" + json.dumps(answer), flush=True)


def folder_bytes(path: Path) -> int:
    """Bytes on disk of a file or of all files in a folder; a file with several names counts once."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum({(found.st_dev, found.st_ino): found.st_size for found in map(Path.stat, files)}.values())


def warm(*places: Path) -> None:
    """Have the system keep all files in memory: what the disk takes is asked for by itself (``evict``)."""
    for place in places:
        for file in [place] if place.is_file() else filter(Path.is_file, place.rglob("*")):
            with file.open("rb", buffering=0) as data:
                while data.read(1 << 22):
                    pass


def evict(path: Path) -> bool:
    """Ask the system to forget what it cached of the files in a folder; False where that cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in path.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
    return True
