"""Spans like those of agents, made without end: traces that overlap, in the order in which their spans end.

Ten traces begin each second, each of about ten spans in a tree. Names follow Zipf's law, payloads repeat what real ones
repeat: a few system prompts, and the conversation so far. ``light`` spans have no input and output; ``full`` ones take
about ``size`` bytes each as Arrow. The same seed gives the same spans.
"""

import binascii
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.schemas import SPANS

NAMES = [f"{verb}.{noun}" for verb in ("chat", "tool", "agent", "retrieve", "plan") for noun in range(40)]
SCOPES = [f"instrumentation.library{number}" for number in range(20)]
TYPES = ["agent_run", "model_generation", "tool_call", "workflow_step", "generic"]
MODELS = ["gpt-5", "gpt-5-mini", "claude-sonnet-5", "claude-haiku-5", "gemini-3-pro", "llama-5-70b"]
PROVIDERS = ["openai", "openai", "anthropic", "anthropic", "google", "meta"]
PER_TRACE = 10
TRACES_A_SECOND = 10
START = datetime(2026, 1, 1, tzinfo=UTC)

_MICRO = 1_000_000


def light(rows: int, *, seed: int = 0, batch: int = 61_440, start: datetime | None = None) -> Iterator[pa.RecordBatch]:
    """Spans without input and output, about 220 bytes each as Arrow."""
    return _spans(rows, seed, batch, start or START, 0)


def full(
    rows: int, *, size: int = 3000, seed: int = 0, batch: int = 61_440, start: datetime | None = None
) -> Iterator[pa.RecordBatch]:
    """Spans with attributes, input and output, about ``size`` bytes each as Arrow."""
    return _spans(rows, seed, batch, start or START, size)


def _spans(rows: int, seed: int, batch: int, start: datetime, size: int) -> Iterator[pa.RecordBatch]:
    chance = np.random.default_rng(seed)
    clock = int(start.timestamp()) * _MICRO
    waiting = SPANS.schema.empty_table()
    left = rows
    while left > 0:
        traces = max(1, batch // PER_TRACE)
        made = _traces(chance, traces, clock, size)
        clock += traces * _MICRO // TRACES_A_SECOND
        everything = pa.concat_tables([waiting, made]).sort_by([("endedAt", "ascending"), ("spanId", "ascending")])
        # What ends after the next traces begin comes among them.
        done = pc.less(everything.column("endedAt").cast(pa.int64()), clock)
        ready, waiting = everything.filter(done), everything.filter(pc.invert(done))
        ready = ready.slice(0, left).combine_chunks()
        left -= ready.num_rows
        yield from ready.to_batches()


def _traces(chance: np.random.Generator, traces: int, clock: int, size: int) -> pa.Table:
    counts = chance.integers(4, 2 * PER_TRACE - 3, traces)
    n = int(counts.sum())
    trace = np.repeat(np.arange(traces), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.arange(n) - first
    root = place == 0

    begun = clock + np.sort(chance.integers(0, traces * _MICRO // TRACES_A_SECOND, traces))
    length = (chance.lognormal(1.0, 0.8, traces) * _MICRO).astype(np.int64) + 1000
    offset = np.where(root, 0, chance.random(n) * 0.9 * length[trace]).astype(np.int64)
    lasts = np.where(
        root, length[trace], np.minimum(chance.exponential(0.15, n) * length[trace], length[trace] - offset)
    )
    started = begun[trace] + offset
    ended = started + np.maximum(lasts.astype(np.int64), 1)

    span_ids = _hex(chance, n, 8)
    parents = first + (chance.random(n) * place).astype(np.int64)
    name = np.minimum(chance.zipf(1.4, n) - 1, len(NAMES) - 1)
    kind = np.where(root, 0, 1 + name % (len(TYPES) - 1))
    calls = kind == 1
    model = chance.integers(0, len(MODELS), traces)[trace]
    prompt = chance.integers(200, 8000, n)
    answer = chance.integers(20, 1500, n)
    failed = chance.random(n) < 0.02
    user = chance.integers(0, 1000, traces)[trace]

    columns: dict[str, Any] = {
        "traceId": _hex(chance, traces, 16).take(pa.array(trace)),
        "spanId": span_ids,
        "parentSpanId": _where(~root, span_ids.take(pa.array(parents))),
        "name": _of(NAMES, name),
        "scope": _of(SCOPES, name % len(SCOPES)),
        "spanType": _of(TYPES, kind),
        "kind": pa.array(np.where(calls, 2, 0), pa.int32()),
        "isEvent": pa.array(np.zeros(n, bool)),
        "startedAt": _time(started),
        "endedAt": _time(ended),
        "startTime": pa.array(started * 1000),
        "endTime": pa.array(ended * 1000),
        "status": _of(['{"code":1}', '{"code":2}'], failed.astype(int)),
        "error": _where(failed, _of(['{"message":"the tool did not answer in time","name":"TimeoutError"}'], 0 * kind)),
        "provider": _where(calls, _of(PROVIDERS, model)),
        "model": _where(calls, _of(MODELS, model)),
        "inputTokens": _where(calls, pa.array(prompt)),
        "outputTokens": _where(calls, pa.array(answer)),
        "cost": _where(calls, pa.array(np.round((prompt * 2 + answer * 8) / 1e6, 6))),
        "entityType": _where(root, _of(["agent"], 0 * kind)),
        "entityName": _where(root, _of([f"agent{number}" for number in range(8)], model)),
        "userId": _where(root, _of([f"user-{number}" for number in range(1000)], user)),
        "serviceName": _of(["agents"], 0 * kind),
        "environment": _of(["production"], 0 * kind),
        "createdAt": _time(ended),
    }
    columns |= _payloads(chance, n, trace, size) if size else {"attributes": _small(prompt, answer)}
    return pa.table([columns.get(field.name, pa.nulls(n, field.type)) for field in SPANS.schema], schema=SPANS.schema)


def _payloads(chance: np.random.Generator, n: int, trace: np.ndarray[Any, Any], size: int) -> dict[str, pa.Array]:
    """Attributes, input and output: a prompt that many share, what its trace has said so far, and something new."""
    text = _corpus()
    wide = size - 260
    prompts = [text[at : at + wide // 7] for at in range(0, 20 * 5000, 5000)]
    talk = chance.integers(0, len(text) - 4 * wide, int(trace.max()) + 1)
    fresh = chance.integers(0, len(text) - wide, n).tolist()
    answers = chance.integers(0, len(text) - wide, n).tolist()
    numbers = chance.integers(0, 10**6, n).tolist()
    attributes, inputs, outputs = [], [], []
    for of, new, said_back, number in zip(trace.tolist(), fresh, answers, numbers, strict=True):
        said = int(talk[of])
        asked = f"{text[said : said + wide // 8]}{text[new : new + wide // 11]}"
        inputs.append(f'[{{"role":"system","content":"{prompts[of % 20]}"}},{{"role":"user","content":"{asked}"}}]')
        outputs.append(f'{{"role":"assistant","content":"{text[said_back : said_back + wide // 3 - 40]}"}}')
        attributes.append(
            f'{{"gen_ai.operation.name":"chat","gen_ai.request.temperature":0.7,"gen_ai.response.id":"resp_{number:06d}",'
            f'"gen_ai.usage.input_tokens":{number % 8000},"server.address":"api.example.com","server.port":443,'
            f'"note":"{text[new + 7 : new + 7 + wide // 4 - 150]}"}}'
        )
    return {"attributes": pa.array(attributes), "input": pa.array(inputs), "output": pa.array(outputs)}


@cache
def _corpus() -> str:
    """English and code that every Python has: its help texts and its library's sources, some ten megabytes."""
    from pydoc_data.topics import topics

    sources = sorted(Path(os.__file__).parent.glob("*.py"))
    texts = [topics[name] for name in sorted(topics)] + [path.read_text("utf-8", "ignore") for path in sources]
    plain = " ".join(texts).encode("ascii", "ignore").decode().replace('"', "'").replace("\\", "/")
    return json.dumps(" ".join(plain.split()))[1:-1]


def _small(prompt: np.ndarray[Any, Any], answer: np.ndarray[Any, Any]) -> pa.Array:
    numbers = pa.array(prompt % 100).cast(pa.string()), pa.array(answer).cast(pa.string())
    return pc.binary_join_element_wise('{"temperature":0.', numbers[0], ',"n":', numbers[1], "}", "")


def _hex(chance: np.random.Generator, n: int, width: int) -> pa.Array:
    data = binascii.hexlify(chance.bytes(n * width))
    offsets = np.arange(n + 1, dtype=np.int32) * (2 * width)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data))


def _of(values: list[str], which: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(values).take(pa.array(which))


def _where(holds: np.ndarray[Any, Any], values: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(holds), values, pa.scalar(None, values.type))


def _time(micros: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(micros).cast(pa.timestamp("us", "UTC"))
