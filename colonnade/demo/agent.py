"""The demo's agent: a loop of model calls and tool calls, as many agents are, with colonnade as its storage.

It remembers conversations and customers in ``store.memory``, and keeps the state of each run in ``store.workflows``, so
that a run which waits for a human can be taken up again by another process. What it does is traced with the
OpenTelemetry SDK and the GenAI semantic conventions; it does not know where its spans go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from colonnade import Storage
from colonnade.demo.simulation import (
    LARGE,
    SMALL,
    Clock,
    Model,
    NeedsApproval,
    Result,
    ToolCall,
    ToolTimeout,
    call_tool,
    chance_of,
    refunded,
    replies,
)
from colonnade.demo.tasks import ORDERS, Prompt, Task

AGENT: Final = "helpdesk"
"""The agent's name, and its workflow's."""


@dataclass(slots=True)
class Run:
    """What became of one request."""

    id: str
    task: Task
    prompt: Prompt
    began: int
    status: str = "running"
    answer: str = ""
    parts: int = 0
    done: list[str] = field(default_factory=list)
    trace_id: str = ""
    span_id: str = ""
    traceparent: str = ""
    waiting: ToolCall | None = None
    failures: int = 0
    resumed: bool = False


class SupportAgent:
    """Answers requests with one version of the prompt."""

    def __init__(self, store: Storage, tracer: Tracer, prompt: Prompt, metadata: Mapping[str, str]) -> None:
        self._store = store
        self._metadata = {**metadata, "prompt": prompt.name}
        self._tracer = tracer
        self._prompt = prompt
        self._facts: dict[str, str] = {}

    def handle(self, task: Task, trial: int, clock: Clock, *, id: str | None = None) -> Run:
        """Answer a request. The run's ``status`` is ``success``, or ``suspended`` where a human must approve first."""
        run = Run(id or f"{self._prompt.name}/{task.id}/{trial}", task, self._prompt, clock.now)
        chance = chance_of(run.id)
        self._store.memory.save_thread(
            thread={
                "id": run.id,
                "resourceId": task.customer,
                "title": task.request,
                "metadata": self._metadata,
                "createdAt": moment(run.began),
            }
        )
        facts = self._recall(task.customer)
        about = {"colonnade.metadata.prompt": self._prompt.name, "colonnade.metadata.task": task.id}
        with self._span(f"invoke_agent {AGENT}", "invoke_agent", run, clock, about) as span:
            context = span.get_span_context()
            run.trace_id, run.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            run.traceparent = f"00-{run.trace_id}-{run.span_id}-01"
            said = [_message("system", f"{self._prompt.text}\n{facts}"), _message("user", task.request)]
            self._chat(SMALL, said, "kind: " + task.kind, 8, run, clock, chance)
            self._converse(run, said, clock, chance)
        self._save_messages(run, [("user", task.request, run.began), ("assistant", run.answer, clock.now)])
        if "lookup_order" in run.done:
            self._remember(task.customer, f"- has bought a {ORDERS[str(task.order)].item} ({task.order})")
        self._keep(run, clock)
        return run

    def resume(self, run: Run, clock: Clock) -> None:
        """Take up a suspended run after a human has approved. Of two processes that try, one does it."""
        where: dict[str, Any] = {"workflow_name": AGENT, "run_id": run.id}
        snapshot = self._store.workflows.update_workflow_state(
            **where, opts={"status": "running", "expectedStatus": "suspended"}
        )
        if snapshot is None:
            return
        waiting = snapshot["context"]["approval"]["payload"]
        call = ToolCall(waiting["tool"], waiting["arguments"])
        parent = TraceContextTextMapPropagator().extract({"traceparent": snapshot["context"]["input"]["traceparent"]})
        chance = chance_of(run.id + "/resumed")
        with self._span(f"resume {AGENT}", "invoke_agent", run, clock, {}, parent):
            self._call(call, run, clock, chance, approved=True)
            said = [_message("system", self._prompt.text), _message("user", run.task.request)]
            answer = refunded(run.task.order)
            self._chat(LARGE, said, answer, self._words(answer, chance), run, clock, chance)
        run.status, run.answer, run.parts, run.waiting, run.resumed = "success", answer, 1, None, True
        self._save_messages(run, [("assistant", answer, clock.now)])
        result = {"status": "success", "output": {"approved": True}}
        self._store.workflows.update_workflow_results(**where, step_id="approval", result=result)
        self._store.workflows.update_workflow_state(
            **where, opts={"status": "success", "suspendedPaths": {}, "result": {"answer": answer}}
        )

    def _converse(self, run: Run, said: list[dict[str, Any]], clock: Clock, chance: Random) -> None:
        """Let the large model call tools until it answers, or until a tool needs a human's approval."""
        model = replies(run.task, self._prompt, chance)
        reply = next(model)
        try:
            while isinstance(reply, ToolCall):
                wish = f"call {reply.name} {json.dumps(reply.arguments)}"
                self._chat(LARGE, said, wish, 24, run, clock, chance)
                try:
                    result = self._call(reply, run, clock, chance)
                except ToolTimeout as error:
                    run.failures += 1
                    result = {"error": str(error)}
                said += [_message("assistant", wish), _message("tool", json.dumps(result))]
                reply = model.send(result)
        except NeedsApproval as needed:
            run.status, run.waiting = "suspended", needed.call
            run.answer = "A colleague has to approve this; you will hear from us."
            return
        self._chat(LARGE, said, reply.text, self._words(reply.text, chance), run, clock, chance)
        run.status, run.answer, run.parts = "success", reply.text, reply.parts

    def _chat(
        self,
        model: Model,
        said: Sequence[Mapping[str, Any]],
        reply: str,
        output_tokens: int,
        run: Run,
        clock: Clock,
        chance: Random,
    ) -> None:
        """Call a model; what it replies has been decided already."""
        input_tokens = 180 + len(json.dumps(said)) // 4
        attributes = {
            "gen_ai.provider.name": "simulated",
            "gen_ai.request.model": model.name,
            "gen_ai.response.model": model.name,
            "gen_ai.input.messages": json.dumps(said),
            "gen_ai.usage.input_tokens": input_tokens,
        }
        with self._span(f"chat {model.name}", "chat", run, clock, attributes, kind=SpanKind.CLIENT) as span:
            clock.spend(model.latency(output_tokens, chance))
            span.set_attributes(
                {
                    "gen_ai.usage.output_tokens": output_tokens,
                    "gen_ai.usage.cost": model.cost(input_tokens, output_tokens),
                    "gen_ai.output.messages": json.dumps([_message("assistant", reply)]),
                }
            )
        clock.spend(chance.uniform(2, 20))  # the agent's own work

    def _call(self, call: ToolCall, run: Run, clock: Clock, chance: Random, *, approved: bool = False) -> Result:
        attributes = {
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.arguments": json.dumps(call.arguments),
        }
        with self._span(f"execute_tool {call.name}", "execute_tool", run, clock, attributes) as span:
            result = call_tool(call, clock, chance, approved=approved)
            span.set_attribute("gen_ai.tool.call.result", json.dumps(result))
        run.done.append(call.name)
        return result

    def _words(self, text: str, chance: Random) -> int:
        return round(len(text) / 4 + self._prompt.words * chance.uniform(0.7, 1.3))

    @contextmanager
    def _span(
        self,
        name: str,
        operation: str,
        run: Run,
        clock: Clock,
        attributes: Mapping[str, Any],
        parent: Context | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Iterator[Span]:
        """A span of simulated time: an ordinary program would leave its start and end to the SDK."""
        common = {
            "gen_ai.operation.name": operation,
            "gen_ai.agent.name": AGENT,
            "gen_ai.conversation.id": run.id,
            "colonnade.run_id": run.id,
            "user.id": run.task.customer,
        }
        span = self._tracer.start_span(
            name, parent, kind=kind, attributes={**common, **attributes}, start_time=clock.now
        )
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        except ToolTimeout as error:
            span.record_exception(error, timestamp=clock.now)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        except NeedsApproval:
            span.add_event("waits for approval", timestamp=clock.now)
            raise
        finally:
            span.end(clock.now)

    def _recall(self, customer: str) -> str:
        """What is known of a customer: read once, since nobody else writes it meanwhile."""
        if customer not in self._facts:
            known = self._store.memory.get_resource_by_id(resource_id=customer)
            self._facts[customer] = (known and known["workingMemory"]) or ""
        return self._facts[customer]

    def _remember(self, customer: str, fact: str) -> None:
        facts = self._recall(customer)
        if fact not in facts:
            self._facts[customer] = f"{facts}\n{fact}".strip()
            self._store.memory.update_resource(resource_id=customer, working_memory=self._facts[customer])

    def _save_messages(self, run: Run, said: Sequence[tuple[str, str, int]]) -> None:
        self._store.memory.save_messages(
            messages=[
                {
                    "id": f"{run.id}/{role}/{time}",
                    "threadId": run.id,
                    "resourceId": run.task.customer,
                    "role": role,
                    "content": {"format": 2, "parts": [{"type": "text", "text": text}], "content": text},
                    "createdAt": moment(time),
                }
                for role, text, time in said
            ]
        )

    def _keep(self, run: Run, clock: Clock) -> None:
        """Keep the state of a run, such that another process could go on from it."""
        context: dict[str, Any] = {"input": {"request": run.task.request, "traceparent": run.traceparent}}
        if run.waiting:
            waiting = {"tool": run.waiting.name, "arguments": dict(run.waiting.arguments)}
            context["approval"] = {"status": "suspended", "payload": waiting}
        elif run.answer:
            context["answer"] = {"status": "success", "output": run.answer}
        snapshot = {
            "runId": run.id,
            "status": run.status,
            "value": {},
            "context": context,
            "activePaths": [],
            "activeStepsPath": {},
            "suspendedPaths": {"approval": [1]} if run.waiting else {},
            "resumeLabels": {},
            "waitingPaths": {},
            "serializedStepGraph": [],
            "timestamp": clock.now // 1_000_000,
            "result": {"answer": run.answer} if run.status == "success" else None,
        }
        self._store.workflows.persist_workflow_snapshot(
            workflow_name=AGENT,
            run_id=run.id,
            resource_id=run.task.customer,
            snapshot=snapshot,
            created_at=moment(run.began),
            updated_at=moment(clock.now),
        )


def judge(run: Run) -> tuple[float, str]:
    """The scorer: 1 where the request was resolved, judged by what the run did, otherwise 0; and why."""
    missed = [tool for tool in run.task.needs if tool not in run.done]
    wrong = [tool for tool in run.task.never if tool in run.done]
    if wrong:
        return 0.0, f"called {wrong[0]}, which it must not"
    if missed:
        return 0.0, f"did not call {missed[0]}"
    if run.parts < run.task.parts:
        return 0.0, f"answered {run.parts} of {run.task.parts} questions"
    return 1.0, "did everything that was asked"


def moment(nanoseconds: int) -> datetime:
    """A simulated time as a datetime in UTC."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _message(role: str, text: str) -> dict[str, Any]:
    """A message as the GenAI conventions have it."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}
