"""A recorded run as rows: a thread with its messages, a trace with its spans, and a score.

The trace has one root (``agent_run``) and below it, in the order of the run, a ``model_generation`` for each message of
the assistant and a ``tool_call`` for each call in one. A model's ``input`` holds the messages since the assistant's
last one, and not everything before it: the prefix is the thread, and repeating it in every turn would be quadratic in
the length of a run. What the recording does not say (model, tokens, the agent's cost) stays null.

Identifiers are derived from batch, item, trial and messages, so a run that is imported again is the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from colonnade.errors import InvalidInput
from colonnade.ingest.chat import TOOL_ROLES, Call, Message, calls_of, content_of, error_of, text_of
from colonnade.ingest.made_times import MADE, TIME_KEYS
from colonnade.ingest.transcripts import Run
from colonnade.schemas import MESSAGES, SCORES, SPANS, THREADS, Table
from colonnade.schemas.payloads import is_strange, to_json
from colonnade.schemas.records import Record

INTERNAL: Final = 0
CLIENT: Final = 2
UNSET: Final = 0
ERROR: Final = 2

_SAID: Final = {"role", "content", "tool_calls", "function_call", "tool_call_id", *TIME_KEYS}
"""What of a message its row says elsewhere; for a tool's result its name too. The rest is kept in its metadata."""
_UNIX: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Source:
    """Where runs come from, and what their rewards are called: the names that scores are found by."""

    batch: str
    scorer: str = "reward"
    dataset: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("batch", self.batch), ("scorer", self.scorer), ("dataset", self.dataset)):
            if value is not None and (not isinstance(value, str) or not value or is_strange(value)):
                raise InvalidInput(f"{name} must be text without NUL or lone surrogates, and not empty: {value!r:.80}")


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of one run, as API records that carry every field of their tables."""

    threads: list[Record] = field(default_factory=list)
    messages: list[Record] = field(default_factory=list)
    spans: list[Record] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)


def rows_of(run: Run, source: Source) -> RunRows:
    """The rows of a run: one thread, its messages, the spans of its trace, and one score."""
    return _Recording(run, source).rows()


@dataclass(frozen=True, slots=True)
class _Answer:
    """A call of a tool, where in the run it was asked for, and the message that answers it (none may)."""

    call: Call
    asked: int
    place: int | None = None


class _Recording:
    """A run with what its rows share: identifiers, times, and where it comes from."""

    def __init__(self, run: Run, source: Source) -> None:
        self.run, self.source = run, source
        self.at = run.times.at
        said = to_json([source.batch, run.item, run.trial, run.messages])
        self.digest = sha256(said.encode()).hexdigest()
        self.trace = self.digest[:32]
        self.thread = self.uuid("thread")
        self.answers = _answers(run.messages)
        self.made = dict(MADE) if run.times.any_made else {}
        self.place: Record = {"item": run.item, "trial": run.trial, "batch": source.batch, "dataset": source.dataset}

    def rows(self) -> RunRows:
        return RunRows([self.thread_row()], self.message_rows(), self.span_rows(), [self.score_row()])

    def uuid(self, part: str) -> str:
        return str(UUID(bytes=sha256(f"{self.digest}/{part}".encode()).digest()[:16], version=5))

    def span_id(self, part: str) -> str:
        return sha256(f"{self.digest}/{part}".encode()).hexdigest()[:16]

    def thread_row(self) -> Record:
        return _complete(
            THREADS,
            id=self.thread,
            resourceId=self.source.batch,
            title=f"{self.run.item}, trial {self.run.trial}",
            metadata={**self.place, "reward": self.run.reward, **self.made},
            createdAt=self.at[0],
            updatedAt=self.at[-1],
        )

    def message_rows(self) -> list[Record]:
        answered = {answer.place: answer.call for answer in self.answers}
        rows = []
        for place, message in enumerate(self.run.messages):
            said = _SAID | {"name"} if message["role"] in TOOL_ROLES else _SAID
            rest = {name: value for name, value in message.items() if name not in said}
            metadata = {**({"recorded": rest} if rest else {}), **(MADE if self.run.times.made[place] else {})}
            rows.append(
                _complete(
                    MESSAGES,
                    id=self.uuid(f"message/{place}"),
                    threadId=self.thread,
                    content=content_of(message, answered.get(place), metadata),
                    role=message["role"],
                    type="v2",
                    createdAt=self.at[place],
                    resourceId=self.source.batch,
                )
            )
        return rows

    def span_rows(self) -> list[Record]:
        """The root, then models and tools in the order of the run."""
        rows = [self.root_row()]
        asked: dict[int, list[_Answer]] = {}
        for answer in self.answers:
            asked.setdefault(answer.asked, []).append(answer)
        since = 0
        for place, message in enumerate(self.run.messages):
            if message["role"] == "assistant":
                rows.append(self.model_row(place, self.run.messages[since:place]))
                since = place + 1
            rows.extend(self.tool_row(answer, number) for number, answer in enumerate(asked.get(place, ())))
        return rows

    def root_row(self) -> Record:
        cost = {"user_cost": self.run.info["user_cost"]} if "user_cost" in self.run.info else {}
        return self.span_row(
            "root",
            name="agent run",
            spanType="agent_run",
            kind=INTERNAL,
            began=self.at[0],
            ended=self.at[-1],
            entityType="agent",
            input=self.asked,
            output=self.replied,
            metadata={**self.place, **cost, **self.made},
        )

    def model_row(self, place: int, heard: tuple[Message, ...]) -> Record:
        message = self.run.messages[place]
        model = next((m for m in (message.get("model"), self.run.more.get("model")) if isinstance(m, str) and m), None)
        return self.span_row(
            f"model/{place}",
            name=f"chat {model}" if model else "chat",
            spanType="model_generation",
            kind=CLIENT,
            began=self.at[max(place - 1, 0)],
            ended=self.at[place],
            model=model,
            input=list(heard),
            output=message,
            attributes={"gen_ai.operation.name": "chat"},
            metadata=self.made or None,
        )

    def tool_row(self, answer: _Answer, number: int) -> Record:
        call = answer.call
        reply = None if answer.place is None else self.run.messages[answer.place]
        error = None if reply is None else error_of(reply)
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name}
        return self.span_row(
            f"tool/{answer.asked}/{number}",
            name=f"execute_tool {call.name}",
            spanType="tool_call",
            kind=INTERNAL,
            began=self.at[answer.asked],
            ended=self.at[-1 if answer.place is None else answer.place],
            entityType="tool",
            entityName=call.name,
            input=call.arguments,
            output=None if reply is None else reply.get("content"),
            error=None if error is None else {"message": error},
            attributes={**attributes, **({"gen_ai.tool.call.id": call.id} if call.id else {})},
            metadata=self.made or None,
        )

    def span_row(self, part: str, *, began: datetime, ended: datetime, **fields: Any) -> Record:
        return _complete(
            SPANS,
            traceId=self.trace,
            spanId=self.span_id(part),
            parentSpanId=None if part == "root" else self.span_id("root"),
            isEvent=False,
            startedAt=began,
            endedAt=ended,
            startTime=_nanoseconds(began),
            endTime=_nanoseconds(ended),
            status={"code": ERROR if fields.get("error") else UNSET},
            runId=self.uuid("run"),
            resourceId=self.source.batch,
            threadId=self.thread,
            createdAt=self.at[-1],
            updatedAt=self.at[-1],
            **fields,
        )

    def score_row(self) -> Record:
        rest = {name: value for name, value in self.run.info.items() if name != "task"}
        recorded = {"recorded": dict(self.run.more)} if self.run.more else {}
        return _complete(
            SCORES,
            id=self.uuid(f"score/{self.source.scorer}"),
            scorerId=self.source.scorer,
            traceId=self.trace,
            spanId=self.span_id("root"),
            runId=self.uuid("run"),
            scorer={"name": self.source.scorer},
            score=self.run.reward,
            metadata={**rest, **recorded, **self.made} or None,
            input=self.asked,
            output=self.replied,
            additionalContext={"task": self.run.info["task"]} if "task" in self.run.info else None,
            entityType="AGENT",
            source="TEST",
            resourceId=self.source.batch,
            threadId=self.thread,
            batchId=self.source.batch,
            datasetId=self.source.dataset,
            datasetItemId=self.run.item,
            trial=self.run.trial,
            createdAt=self.at[-1],
            updatedAt=self.at[-1],
        )

    @property
    def asked(self) -> str | None:
        """The user's first words."""
        return next((text_of(message) for message in self.run.messages if message["role"] == "user"), None)

    @property
    def replied(self) -> str:
        """The assistant's last words; empty where it said nothing."""
        spoken = (text_of(message) for message in reversed(self.run.messages) if message["role"] == "assistant")
        return next((text for text in spoken if text), "")


def _answers(messages: tuple[Message, ...]) -> list[_Answer]:
    """Every call, in the order asked, with the message that answers it.

    A result answers the oldest call of its id that waits for one (recordings use an id twice), else the oldest of its
    tool's name. A result that nothing asked for stays a message and makes no span.
    """
    answers: list[_Answer] = []
    waiting: list[int] = []
    for place, message in enumerate(messages):
        if message["role"] in TOOL_ROLES:
            keys = ((message.get("tool_call_id"), "id"), (message.get("name"), "name"))
            found = next(
                (n for said, key in keys if said for n in waiting if getattr(answers[n].call, key) == said), None
            )
            if found is not None:
                waiting.remove(found)
                answers[found] = _Answer(answers[found].call, answers[found].asked, place)
        else:
            for call in calls_of(message):
                waiting.append(len(answers))
                answers.append(_Answer(call, place))
    return answers


def _complete(table: Table, **fields: Any) -> Record:
    return {**dict.fromkeys(table.by_api), **fields}


def _nanoseconds(moment: datetime) -> int:
    since = moment - _UNIX
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
