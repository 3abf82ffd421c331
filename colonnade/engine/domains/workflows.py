"""The workflows domain: the latest snapshot of every run, so that a suspended run can be resumed after a restart.

A snapshot is an object: ``{runId, status, value, context: {<stepId>: result, input?}, activePaths, activeStepsPath,
suspendedPaths, resumeLabels, waitingPaths, serializedStepGraph, timestamp, requestContext?, result?, error?}``. What it
says is kept as it is. Changes of one run are atomic on every store: of two that meet, none is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from colonnade.engine.domains.pages import PerPage, paged, slice_of
from colonnade.engine.operation import C, Domain, atomic, clear_all, operation
from colonnade.engine.plan import (
    At,
    Delete,
    Filter,
    Is,
    Put,
    Scan,
    Steps,
    between,
    change,
    desc,
    is_equal,
    records,
)
from colonnade.errors import InvalidInput, NotFound
from colonnade.queries.selection import Selectable
from colonnade.schemas import WORKFLOWS
from colonnade.schemas.records import Record, decode, encode_few, spell_value
from colonnade.schemas.table import Table

PENDING: Final = "__mastra_pending__"
"""The key of a pending marker, ``{"__mastra_pending__": true}``: an item of a forEach whose result is still to come."""

CHANGES: Final = (
    "status",
    "result",
    "error",
    "suspendedPaths",
    "waitingPaths",
    "resumeLabels",
    "activePaths",
    "activeStepsPath",
    "tracingContext",
)
"""What ``update_workflow_state`` changes in a snapshot."""

_GUARDS: Final = ("expectedStatus", "expected_status")


class Workflows(Domain[C], Selectable[C]):
    """State of workflow runs. A run is ``{workflowName, runId, resourceId, snapshot, createdAt, updatedAt}``."""

    name: ClassVar[str] = "workflows"
    selects: ClassVar[Table] = WORKFLOWS

    @operation
    def init(self) -> Steps[None]:
        """Nothing: opening the storage has made the tables."""
        yield from ()

    @atomic
    def dangerously_clear_all(self) -> Steps[None]:
        """Delete every run."""
        yield from clear_all(self.name)

    def supports_concurrent_updates(self) -> bool:
        """True: updates of one run are atomic on every store. A plain method, in both colours."""
        return True

    @operation
    def persist_workflow_snapshot(
        self,
        *,
        workflow_name: str,
        run_id: str,
        snapshot: Mapping[str, Any],
        resource_id: str | None = None,
        created_at: datetime | str | None = None,
        updated_at: datetime | str | None = None,
    ) -> Steps[None]:
        """Keep the snapshot of a run, new or known.

        Of a known run the resource, the snapshot and ``updatedAt`` are replaced, and ``createdAt`` stays. Times are now
        unless given.
        """
        if not isinstance(snapshot, Mapping):
            raise InvalidInput(f"snapshot must be an object (a dict), not {type(snapshot).__name__}")
        now = self._clock.now()
        run = _run(workflow_name, run_id, resource_id, snapshot, created_at or now, updated_at or now)
        yield from change(Put(WORKFLOWS, encode_few(WORKFLOWS, [run])))

    @operation
    def load_workflow_snapshot(self, *, workflow_name: str, run_id: str) -> Steps[dict[str, Any] | None]:
        """The snapshot of a run, or None; a copy, so changing it changes nothing that is kept."""
        found = yield from records(Scan(WORKFLOWS, _key(workflow_name, run_id), columns=("snapshot",)))
        return next((run["snapshot"] for run in found), None)

    @atomic
    def update_workflow_results(
        self,
        *,
        workflow_name: str,
        run_id: str,
        step_id: str,
        result: Any,
        request_context: Mapping[str, Any] | None = None,
    ) -> Steps[dict[str, Any]]:
        """Keep the result of one step in a run's context, and give the whole context.

        The request context is merged key by key. Array outputs, which the workers of a forEach write together, are
        merged slot by slot: see ``merged_result``. A run that is not there is made, pending, so that no result is lost.
        """
        if not isinstance(step_id, str) or not step_id:
            raise InvalidInput(f"step_id must be text that is not empty, not {step_id!r:.80}")
        found = yield from records(Scan(WORKFLOWS, _key(workflow_name, run_id)))
        now = self._clock.now()
        pending = _run(workflow_name, run_id, None, _pending_snapshot(run_id, now), now, now)
        run = next(iter(found), pending)
        snapshot = run["snapshot"]
        context = snapshot.get("context") or {}
        snapshot["context"] = {**context, step_id: merged_result(context.get(step_id), result)}
        if request_context:
            snapshot["requestContext"] = {**(snapshot.get("requestContext") or {}), **request_context}
        kept = yield from self._keep(run, snapshot)
        return dict(kept["context"])

    @atomic
    def update_workflow_state(
        self, *, workflow_name: str, run_id: str, opts: Mapping[str, Any]
    ) -> Steps[dict[str, Any] | None]:
        """Replace top-level fields of a run's snapshot, and give the snapshot; None where there is no such run.

        ``opts`` holds any of ``status``, ``result``, ``error``, ``suspendedPaths``, ``waitingPaths``, ``resumeLabels``,
        ``activePaths``, ``activeStepsPath`` and ``tracingContext``. With ``expectedStatus`` (or ``expected_status``),
        one status or several, nothing happens and the answer is None unless the stored status is one of them: of two
        that resume a run at once, exactly one gets its snapshot. ``NotFound`` where the snapshot has no context.
        """
        changes, expected = _options(opts)
        found = yield from records(Scan(WORKFLOWS, _key(workflow_name, run_id)))
        run = next(iter(found), None)
        if run is None:
            return None
        snapshot = run["snapshot"]
        if snapshot.get("context") is None:
            raise NotFound(f"Snapshot not found for runId {run_id}")
        if expected is not None and snapshot.get("status") not in expected:
            return None
        return (yield from self._keep(run, {**snapshot, **changes}))

    @operation
    def list_workflow_runs(
        self,
        *,
        workflow_name: str | None = None,
        status: str | None = None,
        resource_id: str | None = None,
        from_date: datetime | str | None = None,
        to_date: datetime | str | None = None,
        page: int | None = None,
        per_page: PerPage = None,
    ) -> Steps[Record]:
        """Runs, newest ``createdAt`` first, as ``{runs, total}``; ``total`` counts them before paging.

        ``status`` is that of the snapshot; both dates are inclusive, on ``createdAt``. Everything is given unless both
        ``page`` and ``per_page`` are.
        """
        asked = slice_of(page, per_page, None)
        if page is None or per_page is None:
            asked = slice_of(None, None, None)
        where = is_equal(workflow_name=workflow_name, resourceId=resource_id) & between(
            "createdAt",
            spell_value(WORKFLOWS, "createdAt", from_date),
            spell_value(WORKFLOWS, "createdAt", to_date),
        )
        if status is not None:
            where &= Is(At("snapshot", ("status",)), "=", status)
        runs, total = yield from paged(WORKFLOWS, where, (desc("createdAt"),), asked)
        return {"runs": runs, "total": total}

    @operation
    def get_workflow_run_by_id(self, *, run_id: str, workflow_name: str | None = None) -> Steps[Record | None]:
        """A run, or None. Without the workflow's name, the newest run of that id."""
        where = is_equal(workflow_name=workflow_name) & Is("run_id", "=", run_id)
        found = yield from records(Scan(WORKFLOWS, where, (desc("createdAt"),), limit=1))
        return next(iter(found), None)

    @operation
    def delete_workflow_run_by_id(self, *, run_id: str, workflow_name: str) -> Steps[None]:
        """Delete a run; nothing where there is none."""
        yield from change(Delete(WORKFLOWS, _key(workflow_name, run_id)))

    def _keep(self, run: Record, snapshot: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Put a run with another snapshot, and give that as it will be loaded."""
        data = encode_few(WORKFLOWS, [{**run, "snapshot": snapshot, "updatedAt": self._clock.now()}])
        yield from change(Put(WORKFLOWS, data))
        return dict(decode(WORKFLOWS, data)[0]["snapshot"])


def merged_result(stored: Any, new: Any) -> Any:
    """A step's result when ``new`` comes over ``stored``: ``new`` itself, unless both have an array output.

    Arrays are merged slot by slot, in the length of the longer one. Without pending markers, a value fills its slot,
    null leaves it as it is, and the rest of ``new`` is spread over ``stored``. With markers, only they count: each
    resets its slot to null where nothing final is (null, a marker, a suspended result), and nothing but the output
    changes, so that a late reset does not undo what another worker has finished.
    """
    before, after = _output(stored), _output(new)
    if before is None or after is None:
        return new
    resetting = any(map(_is_pending, after))
    output = [*before, *[None] * (len(after) - len(before))]
    for slot, value in enumerate(after):
        if resetting:
            if _is_pending(value) and _may_reset(output[slot]):
                output[slot] = None
        elif value is not None:
            output[slot] = value
    return {**stored, **({} if resetting else new), "output": output}


def _output(result: Any) -> Sequence[Any] | None:
    output = result.get("output") if isinstance(result, Mapping) else None
    return output if isinstance(output, list | tuple) else None


def _is_pending(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(PENDING) is True


def _may_reset(value: Any) -> bool:
    suspended = isinstance(value, Mapping) and value.get("status") == "suspended"
    return value is None or suspended or _is_pending(value)


def _options(opts: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...] | None]:
    """What to change, and the statuses of which the stored one must be one; ``InvalidInput`` for anything else."""
    if unknown := [name for name in opts if name not in CHANGES + _GUARDS]:
        # A misspelt guard would be no guard at all.
        raise InvalidInput(f"opts has no {', '.join(map(repr, unknown))}; it may hold {', '.join(CHANGES + _GUARDS)}")
    guards = [opts[name] for name in _GUARDS if opts.get(name) is not None]
    if len(guards) > 1:
        raise InvalidInput("opts holds both expectedStatus and expected_status; give one")
    changes = {name: value for name, value in opts.items() if name not in _GUARDS}
    if not guards:
        return changes, None
    statuses = [guards[0]] if isinstance(guards[0], str) else guards[0]
    if not isinstance(statuses, Collection) or not all(isinstance(status, str) for status in statuses):
        raise InvalidInput(f"expectedStatus must be a status or a list of them, not {guards[0]!r:.80}")
    return changes, tuple(statuses)


def _key(workflow_name: str, run_id: str) -> Filter:
    return Is("workflow_name", "=", workflow_name) & Is("run_id", "=", run_id)


def _run(
    workflow_name: str,
    run_id: str,
    resource_id: str | None,
    snapshot: Mapping[str, Any],
    created_at: datetime | str,
    updated_at: datetime | str,
) -> Record:
    return {
        "workflowName": workflow_name,
        "runId": run_id,
        "resourceId": resource_id,
        "snapshot": snapshot,
        "createdAt": created_at,
        "updatedAt": updated_at,
    }


def _pending_snapshot(run_id: str, now: datetime) -> dict[str, Any]:
    """An empty snapshot; ``timestamp`` is in milliseconds since the Unix epoch, as the engine writes it."""
    return {
        "runId": run_id,
        "status": "pending",
        "value": {},
        "context": {},
        "activePaths": [],
        "activeStepsPath": {},
        "suspendedPaths": {},
        "resumeLabels": {},
        "waitingPaths": {},
        "serializedStepGraph": [],
        "timestamp": int(now.timestamp() * 1000),
        "requestContext": {},
    }
