"""Evals as pytest tests: scores go into a store under one batch, which is compared with a baseline at the end.

Installed with colonnade, found by pytest, and inert until a test asks for ``score`` or ``colonnade_store``::

    @pytest.mark.parametrize("task", TASKS)
    def test_resolves(task, score):
        answer = agent(task)
        score(answer == task.expected, item=task.id)
        score(judge(answer), item=task.id, scorer="style")

    pytest --colonnade-store agent --colonnade-batch pr-17 --colonnade-baseline main --colonnade-fail-on-regression

Each process writes its own scores, so it works with pytest-xdist, on a store that several processes may write: a
folder, a server. Nothing but the standard library is loaded before a test asks.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    import colonnade

REGRESSION: Final = 3
"""pytest's exit code where only the comparison failed: that of ``colonnade compare``."""

_BATCH: Final = pytest.StashKey[str]()
_SAID: Final = pytest.StashKey[list[str]]()


class Score(Protocol):
    """The fixture ``score``."""

    def __call__(
        self,
        value: float,
        *,
        item: str | None = None,
        scorer: str = "pytest",
        trial: int | None = None,
        dataset: str | None = None,
        run: str | None = None,
        trace: str | None = None,
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Keep a score of this test."""


class Recorder:
    """The scores of one process, in one batch of one store."""

    def __init__(self, store: colonnade.Storage, batch: str) -> None:
        self._store = store
        self._batch = batch
        self._trials: Counter[tuple[str, str, str | None]] = Counter()

    def save(self, test: str, number: int, value: float, given: Mapping[str, Any]) -> None:
        """Keep a score: the one of that number in its test.

        An item is the test unless another is given; its trials are counted in the order in which they come. A test that
        runs again in the same batch replaces its scores.
        """
        fields = {name: each for name, each in given.items() if each is not None}
        item, scorer = str(fields.pop("item", test)), fields.pop("scorer", "pytest")
        place = (scorer, item, fields.pop("dataset", None))
        trial = fields.pop("trial", self._trials[place])
        self._trials[place] += 1
        record = {
            "id": f"{self._batch}/{scorer}/{item}/{test}/{number}",
            "scorerId": scorer,
            "scorer": {"name": scorer},
            "entityId": test,
            "entity": {"name": test},
            "source": "TEST",
            "output": "",
            "runId": fields.pop("run", f"{self._batch}/{test}/{trial}"),
            "traceId": fields.pop("trace", None),
            "score": float(value),
            "batchId": self._batch,
            "datasetId": place[2],
            "datasetItemId": item,
            "trial": trial,
            **fields,
        }
        self._store.scores.save_score(score=record)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("colonnade", "scores of evals (colonnade)")
    group.addoption("--colonnade-store", metavar="STORE", help="keep scores in this store: a path or URL")
    group.addoption("--colonnade-batch", metavar="NAME", help="call this run so; a new name each time unless given")
    group.addoption("--colonnade-baseline", metavar="NAME", help="compare with this batch at the end")
    group.addoption(
        "--colonnade-fail-on-regression",
        action="store_true",
        help="exit with code 3 where a metric got worse than in the baseline, and its interval says so",
    )
    group.addoption(
        "--colonnade-tolerance", type=float, default=0.0, metavar="D", help="differences up to D do not matter"
    )
    group.addoption(
        "--colonnade-lower-is-better",
        action="append",
        default=[],
        metavar="SCORER",
        help="less of this scorer is better; may be given again",
    )


def pytest_configure(config: pytest.Config) -> None:
    """One batch for all processes of a run."""
    given = getattr(config, "workerinput", {}).get("colonnade_batch") or config.getoption("--colonnade-batch")
    config.stash[_BATCH] = given or f"pytest-{uuid4()}"
    if not config.getoption("--colonnade-store"):
        for option in ("--colonnade-baseline", "--colonnade-fail-on-regression"):
            if config.getoption(option):
                raise pytest.UsageError(f"{option} needs --colonnade-store")
    elif config.getoption("--colonnade-fail-on-regression") and not config.getoption("--colonnade-baseline"):
        raise pytest.UsageError("--colonnade-fail-on-regression needs --colonnade-baseline")
    elif config.getoption("--colonnade-baseline") == config.stash[_BATCH]:
        raise pytest.UsageError("--colonnade-baseline and --colonnade-batch are the same: there is nothing to compare")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the name of the batch."""
    node.workerinput["colonnade_batch"] = node.config.stash[_BATCH]


@pytest.fixture(scope="session")
def colonnade_store(pytestconfig: pytest.Config) -> Iterator[colonnade.Storage]:
    """The store of ``--colonnade-store``, open; one in memory without it, so that tests run all the same."""
    import colonnade

    address = pytestconfig.getoption("--colonnade-store")
    with colonnade.open(_absolute(pytestconfig, address) if address else ":memory:") as store:
        yield store


@pytest.fixture(scope="session")
def _colonnade_recorder(pytestconfig: pytest.Config, colonnade_store: colonnade.Storage) -> Recorder:
    return Recorder(colonnade_store, pytestconfig.stash[_BATCH])


@pytest.fixture
def score(request: pytest.FixtureRequest, _colonnade_recorder: Recorder) -> Score:
    """Keep a score of this test: ``score(0.8, item="order-17", scorer="style")``.

    ``value`` is a number, or true and false. ``item`` is what was run, by default the test; items are what comparisons
    align by. ``trial`` counts repetitions of an item, by default in the order in which they come. ``dataset``, ``run``,
    ``trace``, ``reason``, ``metadata`` and further fields of scores (``spanId``, ``input`` ...) may be given.
    """

    numbers = count()

    def keep(value: float, **given: Any) -> None:
        _colonnade_recorder.save(request.node.nodeid, next(numbers), value, given)

    return keep


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Compare with the baseline, once all processes are done."""
    config = session.config
    if hasattr(config, "workerinput") or not config.getoption("--colonnade-baseline", None):
        return
    said, regressed = _compared(config)
    config.stash[_SAID] = said
    if config.getoption("--colonnade-fail-on-regression") and regressed and exitstatus == 0:
        session.exitstatus = REGRESSION


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the comparison."""
    if said := config.stash.get(_SAID, None):
        terminalreporter.write_sep("=", "scores beside the baseline (colonnade)")
        for line in said:
            terminalreporter.write_line(line)


def _compared(config: pytest.Config) -> tuple[list[str], bool]:
    """The comparison as lines, and whether something got worse."""
    import colonnade
    from colonnade.display.terminal import comparison_view, plain

    batch, baseline = config.stash[_BATCH], config.getoption("--colonnade-baseline")
    width = max(60, min(140, config.get_terminal_writer().fullwidth))
    try:
        with colonnade.open(_absolute(config, config.getoption("--colonnade-store"))) as store:
            tolerance = config.getoption("--colonnade-tolerance")
            less = config.getoption("--colonnade-lower-is-better")
            found = colonnade.compare(store, baseline, batch, tolerance=tolerance, lower_is_better=less)
    except colonnade.ColonnadeError as error:
        # Not to know is no pass: what was asked to fail on a regression fails where none could be looked for.
        return [f"The scores of {batch} cannot be compared: {error}"], True
    return plain(comparison_view(found), width).splitlines(), bool(found.regressed)


def _absolute(config: pytest.Config, address: str) -> str:
    """The address, its path seen from where pytest was called: tests may change the directory."""
    if "://" in address or address == ":memory:":
        return address
    return os.path.normpath(config.invocation_params.dir / os.path.expanduser(address))
