"""What `import colonnade` costs, against `import pyarrow` alone: the floor, since every schema is an Arrow schema.

Each import runs in a fresh interpreter and is timed inside it, so the start of Python itself is not counted. The two
take turns, so that a slow moment of the machine falls on both.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FLOOR, MEASURED = "pyarrow", "colonnade"
# What the first use of `colonnade.open` loads, pyarrow with it. Printed, so that nothing hides behind a late import.
USED = "colonnade.engine.address"
TARGET = 1.5
RUNS = 15
RESULT = Path(__file__).parent / "results" / "imports.json"
# Installers compile what they install. A checkout compiles itself at the first import, unless this variable forbids it:
# then every run would count the compiler.
ENV = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def import_seconds(module: str, cwd: str) -> float:
    """How long one import takes in a fresh interpreter, in seconds."""
    code = f"from time import perf_counter as now; start = now(); import {module}; print(now() - start)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=ENV, stdout=subprocess.PIPE, text=True, check=True)
    return float(ran.stdout)


def main() -> None:
    """Measure, print the medians and their ratio, and keep every run as JSON."""
    print(f"Importing {FLOOR} and {MEASURED}, {RUNS} times each in turn (a few seconds) ...")
    runs: dict[str, list[float]] = {FLOOR: [], MEASURED: [], USED: []}
    with tempfile.TemporaryDirectory() as elsewhere:  # not in the checkout: what is measured is the installed package
        for module in runs:
            import_seconds(module, elsewhere)  # unmeasured: writes bytecode, fills the disk cache
        for _ in range(RUNS):
            for module, seconds in runs.items():
                seconds.append(import_seconds(module, elsewhere))

    median = {module: statistics.median(seconds) for module, seconds in runs.items()}
    ratio = median[MEASURED] / median[FLOOR]
    for module in runs:
        print(f"  import {module:<24} {median[module] * 1000:7.1f} ms")
    print(f"  ratio {ratio:.2f}x, target at most {TARGET}x: {'met' if ratio <= TARGET else 'MISSED'}")

    RESULT.parent.mkdir(exist_ok=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {module: version(module) for module in (FLOOR, MEASURED)},
        "median_seconds": median,
        "ratio": ratio,
        "target": TARGET,
        "seconds": runs,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"  written to {RESULT.relative_to(Path.cwd()) if RESULT.is_relative_to(Path.cwd()) else RESULT}")


if __name__ == "__main__":
    main()
