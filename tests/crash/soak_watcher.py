"""What readers of the soak check: a picture shows of every writer what its story says after some turn.

At least the last turn that was acknowledged before the read began must be there, at most the one that may have been
under way when it ended, and never an earlier one than the same reader has seen before.
"""

from __future__ import annotations

import mmap
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import colonnade
from colonnade.engine.plan import Is, Scan
from colonnade.schemas import SCORES, SPANS
from tests.crash.soak_story import Shown, Story, shown

COLUMNS = ("traceId", "spanId", "parentSpanId", "inputTokens", "endedAt", "runId")
NAMES = ", ".join(f'"{name}"' for name in COLUMNS)

Told = dict[int, tuple[int, int]]
"""For each writer, the first and the last turn after which a picture may have been taken."""


class Board:
    """Numbers that all processes share: how many writers there were, how far each is, the pulse of each process."""

    SLOTS = 16

    def __init__(self, writers: int = 100_000) -> None:
        self._memory = mmap.mmap(-1, 8 * (writers + self.SLOTS))

    def __getitem__(self, place: int) -> int:
        return int(struct.unpack_from("<q", self._memory, 8 * (self.SLOTS + place))[0])

    def __setitem__(self, place: int, value: int) -> None:
        struct.pack_into("<q", self._memory, 8 * (self.SLOTS + place), value)

    @property
    def writers(self) -> range:
        """The numbers of all writers that there have been."""
        return range(1, self[0] + 1)

    def beat(self, slot: int) -> None:
        """Show that a process is alive and has done something."""
        self[-1 - slot] += 1


class Watcher:
    """Takes pictures of a store and compares each with the stories."""

    def __init__(self, folder: Path, board: Board, seed: int) -> None:
        self.store: Any = colonnade.open(folder)
        self._board = board
        self._seed = seed
        self._stories: dict[int, Story] = {}
        self._seen: Counter[int] = Counter()

    def look(self, take: Callable[[], Any], check: Callable[[Any, Told], None]) -> None:
        """Take a picture and check it."""
        least = {writer: self._board[writer] for writer in self._board.writers}
        picture = take()
        check(picture, {writer: (least.get(writer, 0), self._board[writer] + 1) for writer in self._board.writers})

    def some_writer(self, chance: random.Random) -> int:
        """One of the last few writers, or 0 where there is none yet."""
        return chance.choice(self._board.writers[-7:] or [0])

    def all_spans(self) -> None:
        """Every span, by a scan."""
        self.look(lambda: self._rows(Scan(SPANS, columns=COLUMNS)), self._spans)

    def all_spans_by_sql(self) -> None:
        """Every span, by SQL; and what only SQL can ask at once."""
        self.look(lambda: self.store.sql(f"SELECT {NAMES} FROM spans").rows(), self._spans)
        self._no_rows('SELECT "traceId", "spanId" FROM spans GROUP BY ALL HAVING count(*) > 1')
        above = '{0}."traceId" = above."traceId" AND {0}."{1}" = above."spanId"'
        child = above.format("child", "parentSpanId")
        self._no_rows(
            'SELECT "spanId" FROM spans AS child WHERE "parentSpanId" IS NOT NULL '
            f"AND NOT EXISTS (FROM spans AS above WHERE {child})"
        )
        score = above.format("score", "spanId")
        self._no_rows(f"SELECT id FROM scores AS score WHERE NOT EXISTS (FROM spans AS above WHERE {score})")

    def scores_by_sql(self) -> None:
        """The number of each writer's scores, by SQL."""

        def check(rows: Any, told: Told) -> None:
            counts = {int(row["runId"]): row["n"] for row in rows}
            for writer in told:
                self._agrees(writer, told[writer], lambda story: story.scores, counts.get(writer, 0))

        self.look(lambda: self.store.sql('SELECT "runId", count(*) AS n FROM scores GROUP BY 1').rows(), check)

    def spans_of(self, writer: int) -> None:
        """The spans of one writer, by a filter."""

        def check(rows: Any, told: Told) -> None:
            found = {row["spanId"]: shown(row) for row in rows}
            assert len(found) == len(rows), f"a span of writer {writer} is there twice"
            self._of_writer(writer, told, found)

        self.look(lambda: self._rows(Scan(SPANS, Is("runId", "=", str(writer)), columns=COLUMNS)), check)

    def traces_of(self, writer: int) -> None:
        """The number of a writer's own traces, from the list of traces."""

        def roots(story: Story) -> int:
            return sum(bool(trace) and parent is None for trace, parent, _, _ in story.spans.values())

        filters = {"runId": str(writer)}
        self.look(
            lambda: self.store.observability.list_traces(filters=filters)["pagination"]["total"],
            lambda total, told: self._agrees(writer, told[writer], roots, total),
        )

    def scores_of(self, writer: int) -> None:
        """The number of a writer's scores."""
        plan = Scan(SCORES, Is("runId", "=", str(writer)), columns=("id",))
        self.look(
            lambda: len(self._rows(plan)),
            lambda found, told: self._agrees(writer, told[writer], lambda story: story.scores, found),
        )

    def messages_of(self, writer: int) -> None:
        """The number of a writer's messages; several come in one call."""
        self.look(
            lambda: len(self.store.memory.list_messages(thread_id=str(writer), per_page=False)["messages"]),
            lambda found, told: self._agrees(writer, told[writer], lambda story: story.messages, found),
        )

    def state(self) -> None:
        """What all writers change, a thread's metadata and a run's context: nobody's last change is lost in others'."""

        def take() -> tuple[dict[str, int], dict[str, Any]]:
            run = self.store.workflows.load_workflow_snapshot(workflow_name="w", run_id="r") or {"context": {}}
            return self.store.memory.get_thread_by_id(thread_id="all")["metadata"] or {}, run["context"]

        def check(found: Any, told: Told) -> None:
            notes, steps = found
            for writer in told:
                self._agrees(writer, told[writer], lambda story: story.note, notes.get(str(writer), 0))
                step = steps.get(str(writer), {"n": 0})["n"]
                self._agrees(writer, told[writer], lambda story: story.step, step)

        self.look(take, check)

    def one_trace(self, chance: random.Random) -> None:
        """One trace, with its payloads: below every span its parent."""
        pages = {"perPage": 20, "page": chance.choice([0, 0, 1, 5])}
        found = self.store.observability.list_traces(pagination=pages)["spans"]
        if not found:
            return
        root = chance.choice(found)
        trace = self.store.observability.get_trace(trace_id=root["traceId"])
        if trace is None:
            assert "." in root["spanId"], f"{root['spanId']} was there and is gone; only whole families are deleted"
            return
        spans = {span["spanId"]: span for span in trace["spans"]}
        assert len(spans) == len(trace["spans"]), f"a span of {root['traceId']} is there twice"
        for id, span in spans.items():
            assert span["parentSpanId"] is None or span["parentSpanId"] in spans, f"{id} is there without its parent"
            assert span["output"].startswith(f"{id} "), f"{id} has the payload of another span"

    def _rows(self, plan: Scan) -> list[dict[str, Any]]:
        return list(self.store.execute(plan).to_pylist())

    def _no_rows(self, query: str) -> None:
        found = self.store.sql(query).rows()
        assert not found, f"{query}: {found[:5]}"

    def _spans(self, rows: Iterable[dict[str, Any]], told: Told) -> None:
        spans: dict[str, dict[str, Any]] = {}
        found: dict[int, dict[str, Shown]] = {writer: {} for writer in (0, *told)}
        for row in rows:
            assert row["spanId"] not in spans, f"{row['spanId']} is there twice"
            spans[row["spanId"]] = row
            found[int(row["runId"])][row["spanId"]] = shown(row)
        for row in spans.values():
            if row["parentSpanId"] is not None:
                assert row["parentSpanId"] in spans, f"{row['spanId']} is there without {row['parentSpanId']} above it"
        for writer in told:
            self._of_writer(writer, told, found[writer])

    def _of_writer(self, writer: int, told: Told, found: dict[str, Shown]) -> None:
        if writer not in told:
            return
        least, most = told[writer]
        self._agrees(writer, (max(least, self._seen[writer]), most), lambda story: story.spans, found)
        self._seen[writer] = max((self._seen[writer], *(tokens for _, _, tokens, _ in found.values())))

    def _agrees(self, writer: int, told: tuple[int, int], view: Callable[[Story], Any], found: Any) -> None:
        first = story = self._stories.setdefault(writer, Story(self._seed, writer)).to(told[0])
        if view(story) == found:
            return
        story = story.copy()
        while story.turn < told[1]:
            if view(story.to(story.turn + 1)) == found:
                return
        raise AssertionError(
            f"no turn of writer {writer} from {first.turn} to {told[1]} looks like this: "
            f"{difference(view(first), view(story), found)}"
        )


def difference(first: Any, last: Any, found: Any) -> str:
    """What is wrong, in a few words."""
    if not isinstance(found, dict):
        return f"{found} is none of {first} to {last}"
    lost = [key for key in first if key in last and key not in found]
    extra = [key for key in found if key not in first and key not in last]
    both = {key: (first.get(key), found[key], last.get(key)) for key in found}
    other = [(key, three) for key, three in both.items() if three[1] not in (three[0], three[2])]
    return f"lost {lost[:5]}, extra {extra[:5]}, otherwise {other[:5]} (then, found, at last)"
