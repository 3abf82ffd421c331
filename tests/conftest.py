"""What all tests share: how hard hypothesis searches, and the recordings that lie beside the repository."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import colonnade
from colonnade.testing.colours import Awaited

# Hypothesis has a "ci" profile of its own, which it turns on wherever CI is set and which repeats the same examples
# every time. Ours starts from "default", so that a search is the same everywhere and finds something new each day.
_plain = settings.get_profile("default")
for _name, _examples in {"dev": 50, "ci": 200, "nightly": 5000}.items():
    # No deadline: a shared machine is slow now and then. The blob makes a failure seen elsewhere repeatable here.
    settings.register_profile(
        _name, parent=_plain, max_examples=_examples, deadline=None, derandomize=False, print_blob=True
    )
settings.load_profile(os.environ.get("COLONNADE_HYPOTHESIS", "ci"))


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Path:
    """The folder of shared recordings: COLONNADE_SHARED, or `shared` beside the repository."""
    named = os.environ.get("COLONNADE_SHARED")
    folder = Path(named) if named else pytestconfig.rootpath.parent / "shared"
    if not folder.is_dir():
        missing = "shared recordings not found: set COLONNADE_SHARED"
        if os.environ.get("COLONNADE_REQUIRE_STORES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


def _open(store: str, colour: str, folder: Path) -> Any:
    address = {
        "memory": ":memory:",
        "duckdb": f"duckdb:///{folder / 'store.duckdb'}",
        "sqlite": f"sqlite:///{folder / 'store.sqlite'}",
    }[store]
    return colonnade.open(address) if colour == "sync" else Awaited(colonnade.aopen(address))


@pytest.fixture(params=[f"{store}-{colour}" for store in ("memory", "duckdb", "sqlite") for colour in ("sync", "async")])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty storage: each store in both colours, behind the same blocking face."""
    store, colour = request.param.split("-")
    opened = _open(store, colour, tmp_path)
    yield opened
    opened.close()
