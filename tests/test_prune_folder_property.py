"""Pruning an embedded folder against a brute-force reference: any spans, anywhere, sealed or not, in any order."""

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine.plan import Put, Scan
from colonnade.engine.stores.embedded import retiring
from colonnade.engine.stores.embedded import store as embedded
from colonnade.schemas import SCORES, SPANS
from colonnade.schemas.records import encode

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 8
Span = tuple[str, str, int, int | None, bool]
"""Trace, span, the hours of its start and end, and whether it is an event."""
Score = tuple[str, str | None, int]
"""Id, trace, the hour at which it was given."""
WRITERS = (0, 1)


def when(hour: int | None) -> datetime | None:
    return None if hour is None else BEGIN + timedelta(hours=hour)


hours = st.one_of(st.integers(0, 3), st.integers(0, 3), st.integers(0, HOURS))
cutoffs = st.integers(1, HOURS + 1)
spans = st.tuples(
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.sampled_from(["1", "2", "3"]),
    hours,
    st.one_of(hours, hours, hours, st.none()),
    st.sampled_from([False, False, True]),
)
scores = st.tuples(st.sampled_from(["x", "y", "z"]), st.sampled_from(["a", "b", "c", None]), hours)
steps = st.one_of(
    st.tuples(st.just("spans"), st.sampled_from(WRITERS), st.lists(spans, min_size=1, max_size=6)),
    st.tuples(st.just("score"), st.sampled_from(WRITERS), scores),
    st.tuples(st.just("score"), st.sampled_from(WRITERS), scores),
    st.tuples(st.just("delete"), st.sampled_from(WRITERS), st.sampled_from(["a", "b"])),
    st.tuples(st.just("seal"), st.sampled_from(WRITERS), st.booleans()),
    st.tuples(st.just("prune"), st.sampled_from(WRITERS), st.tuples(cutoffs, st.booleans())),
)


@dataclass
class Reference:
    """What there should be."""

    spans: dict[tuple[str, str], Span] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)

    def put(self, span: Span) -> None:
        trace, id, _, end, _ = span
        before = self.spans.get((trace, id))
        if before is None or before[3] is None or end is not None:
            self.spans[trace, id] = span

    def delete(self, trace: str) -> None:
        self.spans = {key: span for key, span in self.spans.items() if key[0] != trace}

    def prune(self, cutoff: int, keep_scored: bool) -> tuple[int, int, int]:
        """Traces, spans and scores that go."""
        kept = {trace for trace, _, start, end, event in self.spans.values() if not over(start, end, event, cutoff)}
        if keep_scored:
            kept |= {trace for _, trace, _ in self.scores.values() if trace is not None}
        gone = {trace for trace, _ in self.spans} - kept
        old = {id for id, (_, _, hour) in self.scores.items() if hour < cutoff and not keep_scored}
        lost = [key for key in self.spans if key[0] in gone]
        self.spans = {key: span for key, span in self.spans.items() if key not in lost}
        self.scores = {id: score for id, score in self.scores.items() if id not in old}
        return len(gone), len(lost), len(old)


def over(start: int, end: int | None, is_event: bool, cutoff: int) -> bool:
    return start < cutoff and (end < cutoff if end is not None else is_event)


def found(store: Any) -> tuple[set[Span], set[Score]]:
    def hour(moment: datetime | None) -> Any:
        return None if moment is None else int((moment - BEGIN) / timedelta(hours=1))

    rows = store.execute(Scan(SPANS, columns=("traceId", "spanId", "startedAt", "endedAt", "isEvent"))).to_pylist()
    there = [(trace, id, hour(start), hour(end), event) for trace, id, start, end, event in map(dict.values, rows)]
    assert len(there) == len(set(there)), "a span is there twice"
    rows = store.execute(Scan(SCORES, columns=("id", "traceId", "createdAt"))).to_pylist()
    return set(there), {(id, trace, hour(at)) for id, trace, at in map(dict.values, rows)}


def write(store: Any, put: list[Span]) -> None:
    fields = ("traceId", "spanId", "startedAt", "endedAt", "isEvent")
    records = [dict(zip(fields, (t, s, when(b), when(e), v), strict=True), name="n") for t, s, b, e, v in put]
    store.observability.batch_create_spans(records=records)


def give(store: Any, id: str, trace: str | None, hour: int) -> None:
    at = when(hour)
    row: dict[str, Any] = {"id": id, "traceId": trace, "createdAt": at, "updatedAt": at, "score": 1.0, "source": "LIVE"}
    row |= {"scorerId": "s", "scorer": {}, "output": {}, "runId": "r"}
    store.execute(Put(SCORES, encode(SCORES, [row])))


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are many here, and a lease is handed over at once."""
    monkeypatch.setattr(retiring, "FEW", 2)
    monkeypatch.setattr(retiring, "PART", 0.5)
    monkeypatch.setattr(embedded, "_INTERVAL", 0.01)


def open_both(folder: Path) -> list[Any]:
    return [colonnade.open(folder / "agent") for _ in WRITERS]


@given(story=st.lists(steps, min_size=3, max_size=12), cutoff=cutoffs, keep_scored=st.booleans())
@settings(max_examples=max(settings().max_examples // 4, 10))
def test_what_goes_is_what_should(story: list[Any], cutoff: int, keep_scored: bool) -> None:
    reference = Reference()
    with tempfile.TemporaryDirectory() as folder:
        stores = open_both(Path(folder))
        try:
            for what, who, given_ in [*story, ("prune", 0, (cutoff, keep_scored)), ("prune", 1, (cutoff, keep_scored))]:
                note(f"{what} {who} {given_}")
                step(stores[who], reference, what, given_)
                expected = set(reference.spans.values()), set(reference.scores.values())
                if what == "prune":
                    assert found(stores[1 - who]) == expected
        finally:
            for store in stores:
                store.close()
        # And nothing comes back, from whatever was in whichever log.
        with colonnade.open(Path(folder) / "agent") as again:
            assert found(again) == expected
            again.optimize()
            assert found(again) == expected


def step(store: Any, reference: Reference, what: str, given: Any) -> None:
    match what:
        case "spans":
            write(store, given)
            for span in given:
                reference.put(span)
        case "score":
            give(store, *given)
            reference.scores[given[0]] = given
        case "delete":
            store.observability.batch_delete_traces(trace_ids=[given])
            reference.delete(given)
        case "seal":
            store.stores[0].optimize(merge=given)
        case "prune":
            hour, keep_scored = given
            older = {"older_than": when(hour), "keep_scored": keep_scored}
            foreseen = store.prune(**older, dry_run=True)
            done = store.prune(**older)
            expected = reference.prune(hour, keep_scored)
            assert (done.traces, done.spans, done.scores) == expected
            assert (foreseen.traces, foreseen.spans, foreseen.scores) == expected
            event(f"{min(done.traces, 2)} traces pruned")
