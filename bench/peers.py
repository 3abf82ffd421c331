"""What people install today for the same purpose, with the same spans: Arize Phoenix and MLflow, over SQLite each.

Each has a virtualenv of its own in ``.bench-venv``, made here with the versions pinned in ``requirements/``. Each is
fed by the fastest public way found, in batches as large, and what prepares its input is not counted; of ours it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import colonnade
from bench import kept, measure
from bench.findings import Finding, Run, Target, at_least_times
from bench.ingest import EXPORTED, from_dicts, from_otel

VENVS: Final = measure.ROOT / ".bench-venv"
OFFLINE: Final = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_MODEL_CATALOG_URI": ""}
"""They are to wait for nobody: MLflow would fetch prices of models, and try again where it cannot."""
SUSTAINED: Final = 61_440
"""How many spans we get to write, where the run has so many; the peers would take ten minutes for them."""
Ours = dict[tuple[str, int], Any]
"""What was measured of ours, by source and number of spans."""
PEERS: Final = {"phoenix": ("Phoenix", at_least_times(50)), "mlflow": ("MLflow", at_least_times(10))}


def main(run: Run) -> None:
    """Ours from Python and from OpenTelemetry, then each peer that can be installed."""
    if not run.peers:
        run.skip("Phoenix and MLflow (--quick and --no-peers leave them out)")
        return
    most = max(run.peer_spans, min(run.full, SUSTAINED))
    file = kept.arrow_file(run, most, kept.SMALL_SIZE)
    ours: Ours = {}
    with run.doing(f"writing {most:,} spans of {kept.SMALL_SIZE:,} bytes, then {run.peer_spans:,} as the peers get"):
        for name, write in {"dicts": from_dicts, "OpenTelemetry": from_otel}.items():
            for rows in (most, run.peer_spans):
                place = run.scratch("peer-store")
                ours[name, rows] = measure.in_fresh(write, file=str(file), path=str(place), batch=EXPORTED, rows=rows)
    with run.doing("reading traces back"):
        read = measure.in_fresh(read_traces, path=str(place), file=str(file), rows=run.peer_spans, times=50)
    run.scratch("peer-store")
    for peer, (name, target) in PEERS.items():
        seen = measured(run, peer, name, file, run.peer_spans)
        if seen is not None:
            _report(run, name, target, ours, read, seen)


def measured(run: Run, peer: str, name: str, file: Path, rows: int) -> dict[str, Any] | None:
    """What a peer did with the first spans of a file; ``None``, and a note, where it cannot be asked."""
    python = VENVS / peer / "bin" / "python"
    place = run.scratch(peer)
    place.mkdir()
    try:
        with run.doing(f"installing {name} into {VENVS.name} (a minute or two, the first time)"):
            _install(peer, python)
        with run.doing(f"writing the same into {name} (a minute)"):
            command = [str(python), "-m", f"bench.peer_{peer}", str(file), str(rows), str(place)]
            log = place / "stderr.log"
            with log.open("wb") as errors:
                said = subprocess.run(
                    command,
                    cwd=measure.ROOT,
                    env={**os.environ, **OFFLINE},
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    timeout=1200,
                )
            if said.returncode:
                last = log.read_text(errors="replace").strip().splitlines()[-1:] or [f"exit {said.returncode}"]
                raise RuntimeError(last[0])
            seen: dict[str, Any] = json.loads(said.stdout.decode().splitlines()[-1])
            return seen
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        run.skip(f"{name}: {error!s:.300}")
        return None
    finally:
        run.scratch(peer)


def _install(peer: str, python: Path) -> None:
    wanted = measure.ROOT / "requirements" / f"bench-{peer}.txt"
    stamp = python.parent.parent / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return
    venv = [sys.executable, "-m", "venv", "--clear", str(python.parent.parent)]
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-r", str(wanted)]
    for command in (venv, pip):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
        if done.returncode:
            raise RuntimeError(f"it cannot be installed: {(done.stdout.strip().splitlines() or ['?'])[-1]}")
    stamp.write_text(wanted.read_text())


def _report(run: Run, name: str, target: Target, ours: Ours, read: dict[str, float], seen: Any) -> None:
    rate = seen["rows"] / seen["cpu"]
    for (source, rows), mine in ours.items():
        # As many as the peers get are few for us: what a seal costs anyway weighs more. That has no target.
        many = rows > seen["rows"]
        what = f"{rows:,} spans of {kept.SMALL_SIZE / 1000:g} KB from {source}, sealed, per CPU-second"
        aim = target if many or len({each for _, each in ours}) == 1 else None
        run.found(Finding("peers", what, rows / mine["cpu"], "spans", rate, name, aim, {"ours": mine, name: seen}))
    same = ours["OpenTelemetry", seen["rows"]]
    what = "the same until all are durable, on the clock"
    run.found(Finding("peers", what, seen["rows"] / same["accepted"], "spans/s", seen["rows"] / seen["wall"], name))
    theirs = seen["get_trace"]["p50"]
    run.found(Finding("peers", "get_trace with payloads", read["p50"], "ms", theirs, name, detail={"ours": read}))
    what = "bytes a span on disk"
    run.found(Finding("peers", what, same["bytes"] / seen["rows"], "B", seen["bytes"] / seen["rows"], name))


def read_traces(path: str, file: str, rows: int, times: int) -> dict[str, float]:
    """Whole traces, as the peers are asked for them. Runs in a process of its own."""
    traces = kept.read(Path(file)).slice(0, rows).column("traceId").unique().to_pylist()
    with colonnade.open(path) as opened:
        (read,) = measure.turns(
            lambda turn: opened.observability.get_trace(trace_id=traces[turn * 37 % len(traces)]), times=times
        )
    return measure.summary(read)
