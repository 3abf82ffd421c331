"""Question fixtures: what is asked of a small fixed data set, in words and as a plan, and what every store must answer.

The machine finds what nobody thought of; these say what was meant, one rule each::

    load(storage)
    for question in QUESTIONS:
        ask(storage, question)
"""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Final

from colonnade.engine.plan import (
    FALSE,
    TRUE,
    Bucket,
    Is,
    Not,
    Null,
    OneOf,
    Order,
    Scan,
    after,
    asc,
    between,
    desc,
)
from colonnade.schemas import MESSAGES, SCORES, SPANS, THREADS, TRACES, WORKFLOWS
from colonnade.testing.asking import Question, ask, groups, keys, load, values
from colonnade.testing.conditions import FILTERS, JOINS, JSON
from colonnade.testing.ranked import RANKED
from colonnade.testing.sample import BEFORE_1970, HOUR, JSON_ID, MINUTE, NOON, SQL_ID, TICK

__all__ = ["QUESTIONS", "Question", "ask", "load"]


_ABD: Final = OneOf("traceId", ("a", "b", "d"))
_CHATS: Final = Is("name", "=", "chat")
_BY_ID: Final = (asc("id"),)
_IST: Final = timezone(timedelta(hours=5, minutes=30))

_ORDERS: Final = (
    keys(
        "nulls come last, ascending", SCORES, TRUE, *("s5", "s1", "s6", "s2", "s4", "s3", "s7"), order=(asc("trial"),)
    ),
    keys(
        "nulls come last, descending", SCORES, TRUE, *("s4", "s2", "s1", "s6", "s5", "s3", "s7"), order=(desc("trial"),)
    ),
    keys(
        "nulls come first where an order says so",
        SCORES,
        TRUE,
        *("s3", "s7", "s5", "s1", "s6", "s2", "s4"),
        order=(Order("trial", nulls_first=True),),
    ),
    keys(
        "nulls come first where a descending order says so",
        SCORES,
        TRUE,
        *("s3", "s7", "s4", "s2", "s1", "s6", "s5"),
        order=(Order("trial", descending=True, nulls_first=True),),
    ),
    keys(
        "text sorts by code point: A < Z < a < e + accent < \xe9 < full-width A < emoji",
        THREADS,
        TRUE,
        *("t08", SQL_ID, "t10", "t01", "t09", JSON_ID, "t02", "t07", "t04", "t03", "t06", "t05"),
        order=(asc("title"),),
    ),
    keys(
        "rows that are equal in the order come by key, ascending in a descending order too",
        THREADS,
        TRUE,
        *("t06", "t07", "t08", "t09", "t10", "t01", "t02", "t03", "t04", "t05", JSON_ID, SQL_ID),
        order=(desc("resourceId"),),
    ),
    keys(
        "a second term orders within the first",
        SCORES,
        TRUE,
        *("s6", "s2", "s4", "s7", "s1", "s3", "s5"),
        order=(asc("reason"), desc("score")),
    ),
    keys("a limit of 0 gives nothing", THREADS, TRUE, order=_BY_ID, limit=0),
    keys("a limit without an order cuts in the order of the key", THREADS, TRUE, "t01", "t02", limit=2),
    keys(
        "a limit beyond the end gives what is there", THREADS, TRUE, SQL_ID, JSON_ID, order=_BY_ID, limit=5, offset=10
    ),
    keys("an offset without a limit gives the rest", THREADS, TRUE, JSON_ID, order=_BY_ID, offset=11),
    keys("an offset beyond the end gives nothing", THREADS, TRUE, order=_BY_ID, limit=5, offset=12),
    keys(
        "the next page begins after the last row, not after its like",
        THREADS,
        after((desc("createdAt"), asc("id")), (NOON + 5 * MINUTE, "t06")),
        *("t07", "t05"),
        order=(desc("createdAt"), asc("id")),
        limit=2,
    ),
)

_TIMES: Final = (
    keys(
        "a range of time has both its ends", MESSAGES, between("createdAt", NOON - TICK, NOON + TICK), "m1", "m2", "m3"
    ),
    keys(
        "an exclusive end leaves out its microsecond",
        MESSAGES,
        between("createdAt", NOON, NOON + TICK, end_exclusive=True),
        "m2",
    ),
    keys(
        "an exclusive start leaves out its microsecond",
        MESSAGES,
        between("createdAt", NOON, NOON + TICK, start_exclusive=True),
        "m3",
    ),
    keys(
        "two exclusive ends leave the microsecond between",
        MESSAGES,
        between("createdAt", NOON - TICK, NOON + TICK, start_exclusive=True, end_exclusive=True),
        "m2",
    ),
    keys("a moment is the same in another time zone", MESSAGES, Is("createdAt", "=", NOON.astimezone(_IST)), "m2"),
    values(
        "a time before 1970, to the microsecond and the nanosecond",
        SPANS,
        Is("startedAt", "<", BEFORE_1970 + TICK),
        "traceId startedAt startTime",
        ("d", BEFORE_1970, -1000),
    ),
)

_NUMBERS: Final = (
    keys("whole numbers above 2^53 are told apart", SPANS, Is("inputTokens", "=", 2**53 + 1), ("a", "3")),
    keys("and found by nothing near them", SPANS, Is("inputTokens", "=", 2**53)),
    values(
        "64 bits in full",
        SPANS,
        Is("traceId", "=", "b") & _CHATS,
        "inputTokens",
        *(2**63 - 1, -(2**63), 0),
    ),
    keys(
        "64 bits in order",
        SPANS,
        _ABD & _CHATS,
        *(("b", "3"), ("b", "4"), ("a", "2"), ("a", "3"), ("b", "2")),
        order=(asc("inputTokens"),),
    ),
    values("32 bits in full", SCORES, OneOf("id", ("s4", "s5")), "trial", 2**31 - 1, -(2**31)),
    values(
        "floats to the last bit",
        SCORES,
        OneOf("id", ("s1", "s2", "s3", "s4", "s5")),
        "score",
        *(0.1234567890123, 0.30000000000000004, 5e-324, 1.7976931348623157e308, -0.5),
    ),
    keys("a float equals itself", SCORES, Is("score", "=", 0.1234567890123), "s1"),
    keys("0.1 + 0.2 is not 0.3", SCORES, Is("score", "=", 0.3)),
)

_PUTS: Final = (
    values(
        "what is written once stays, the rest is replaced",
        MESSAGES,
        Is("id", "=", "m8"),
        "createdAt content",
        (NOON + 4 * HOUR, {"format": 2, "parts": [], "content": "second"}),
    ),
    values(
        "also within one put",
        MESSAGES,
        Is("id", "=", "m9"),
        "createdAt content",
        (NOON + 6 * HOUR, {"format": 2, "parts": [], "content": "second"}),
    ),
    values(
        "also under a key of two columns",
        WORKFLOWS,
        Is("workflow_name", "=", "flow"),
        "run_id createdAt updatedAt snapshot",
        ("r1", NOON, NOON + HOUR, {"status": "success", "context": {"input": {"n": 2**53 + 1}}}),
        ("r2", NOON, NOON, {"status": "running", "context": {"input": {"n": 2**53 + 1}}}),
    ),
    values(
        "an ended span outlives a running copy",
        SPANS,
        Is("traceId", "=", "f") & Is("spanId", "=", "1"),
        "name",
        "ended",
    ),
    values("and not a later ended one", SPANS, Is("traceId", "=", "f") & Is("spanId", "=", "2"), "name", "ended again"),
    values("also within one put of spans", SPANS, Is("traceId", "=", "f") & Is("spanId", "=", "3"), "name", "ended"),
    values(
        "a running span is replaced by a running copy",
        SPANS,
        Is("traceId", "=", "f") & Is("spanId", "=", "4"),
        "name endedAt",
        ("running again", None),
    ),
)

_READING: Final = (
    Question(
        "traces are spans under their own names, newest first",
        Scan(TRACES, Is("traceId", "=", "a"), (desc("startTime"),), columns=("id", "parentSpanId", "name")),
        (("3", "1", "chat"), ("4", "3", "tool"), ("2", "1", "chat"), ("1", None, "agent")),
    ),
    groups("traces are counted", TRACES, ("name",), "count", ("agent", 3), ("ended", 1), where=Is("id", "=", "1")),
)

_SUMMARIES: Final = (
    groups("without rows there is no group", SPANS, ("name",), "count", where=FALSE),
    groups(
        "without groups there is one row",
        SPANS,
        (),
        "count sum:cost min:name p50:cost",
        (0, None, None, None),
        where=FALSE,
    ),
    groups(
        "null is a group, the last one, and a column's count leaves null out",
        SPANS,
        ("model",),
        "count count:cost sum:cost mean:cost",
        *(("large", 3, 2, 1.1234567890123, 0.56172839450615), ("small", 2, 2, 0.75, 0.375), (None, 4, 0, None, None)),
        where=_ABD,
    ),
    groups(
        "quantiles interpolate",
        SPANS,
        ("model",),
        "p50:cost p95:cost p99:cost",
        *(("large", 0.56172839450615, 0.956172839450615, 0.99123456789012), ("small", 0.375, 0.4875, 0.4975)),
        where=_ABD & Not(Null("model")),
    ),
    groups(
        "groups of two columns come in their order",
        SPANS,
        ("traceId", "name"),
        "count",
        *(
            ("a", "agent", 1),
            ("a", "chat", 2),
            ("a", "tool", 1),
            ("b", "agent", 1),
            ("b", "chat", 3),
            ("d", "agent", 1),
        ),
        where=_ABD,
    ),
    groups(
        "groups of text keep its case", SCORES, ("reason",), "count", ("Good", 1), ("bad", 1), ("good", 3), (None, 2)
    ),
    groups("the least and the greatest text by code point", THREADS, (), "min:title max:title", ("", "\U0001f600")),
    groups(
        "the first and the last moment",
        SPANS,
        (),
        "min:startedAt max:startedAt",
        (BEFORE_1970, NOON + 62 * MINUTE),
        where=_ABD,
    ),
    groups(
        "sums of 64 bits are exact",
        SPANS,
        ("traceId",),
        "sum:inputTokens min:inputTokens max:inputTokens",
        *(("a", 2**53 + 101, 100, 2**53 + 1), ("b", -1, -(2**63), 2**63 - 1), ("d", None, None, None)),
        where=_ABD,
    ),
    groups(
        "buckets begin at multiples of their width, before 1970 too",
        SPANS,
        (Bucket.of("startedAt", "1h"),),
        "count sum:cost",
        *((BEFORE_1970 + TICK - HOUR, 1, None), (NOON, 4, 0.75), (NOON + HOUR, 4, 1.1234567890123)),
        where=_ABD,
    ),
    groups(
        "the bucket of null is null, and last",
        SPANS,
        (Bucket.of("endedAt", "1d"),),
        "count",
        *((NOON - 12 * HOUR, 3), (None, 1)),
        where=Is("traceId", "=", "b"),
    ),
)

QUESTIONS: Final = (*_ORDERS, *FILTERS, *JSON, *JOINS, *_TIMES, *_NUMBERS, *_PUTS, *_READING, *_SUMMARIES, *RANKED)
"""Every question, by subject."""
