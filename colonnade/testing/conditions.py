"""Question fixtures about which rows a filter keeps: columns, places inside JSON, semi-joins."""

from __future__ import annotations

from typing import Final

from colonnade.engine.plan import (
    FALSE,
    Among,
    At,
    Is,
    Not,
    Null,
    OneOf,
    Scan,
    desc,
)
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, TRACES
from colonnade.testing.asking import keys
from colonnade.testing.sample import JSON_ID, RUNS, SQL_ID


def _thread(*path: str | int) -> At:
    return At("metadata", path)


_N: Final = _thread("n")
_ADA: Final = Is("resourceId", "=", "ada")

FILTERS: Final = (
    keys("one of nothing is false", SCORES, OneOf("reason", ())),
    keys("not one of nothing is true, of null too", SCORES, Not(OneOf("reason", ())), *(f"s{n}" for n in range(1, 8))),
    keys("one of values and None finds the values", SCORES, OneOf("batchId", ("b1", None)), "s1", "s2", "s3"),
    keys(
        "one of values and None finds the values, twice",
        THREADS,
        OneOf("resourceId", ("alice", None, "ada")) & OneOf("resourceId", ("alice", None)),
    ),
    keys("not one of values and None is never true", SCORES, Not(OneOf("batchId", ("b1", None)))),
    keys("not one of values leaves null out", SCORES, Not(OneOf("batchId", ("b1",))), "s4", "s7"),
    keys("nothing equals None", SCORES, Is("reason", "=", None)),
    keys("nothing differs from None", SCORES, Is("reason", "!=", None)),
    keys("null differs from nothing", SCORES, Is("reason", "!=", "good"), "s2", "s6"),
    keys("the opposite of a comparison with null is null", SCORES, Not(Is("trial", "<", 1)), "s2", "s4"),
    keys("null is asked for as such", SCORES, Null("reason"), "s3", "s5"),
    keys("not null is the rest", SCORES, Not(Null("reason")), "s1", "s2", "s4", "s6", "s7"),
    keys("unknown or true is true", SCORES, Is("trial", "=", 0) | Is("batchId", "=", "b2"), "s1", "s4", "s6", "s7"),
    keys(
        "unknown and false is false, unknown and unknown is unknown",
        SCORES,
        Not(Is("trial", "=", 0) & Is("reason", "=", "bad")),
        *("s1", "s2", "s4", "s5", "s6", "s7"),
    ),
    keys("text is compared with its case and its blanks", THREADS, Is("title", "=", "a"), "t09"),
    keys("an accent is not a letter and an accent", THREADS, Is("title", "=", "\xe9lan"), "t03"),
    keys("text before a letter is before it by code point", THREADS, Is("title", "<", "B"), "t08", "t10", SQL_ID),
    keys("full-width letters come before emoji", THREADS, Is("title", ">", "\uff21"), "t05"),
    keys("a percent sign matches itself", THREADS, Is("resourceId", "=", "100%"), SQL_ID),
    keys("an underscore matches itself", THREADS, Is("resourceId", "=", "100_")),
    keys("an id full of SQL is an id", THREADS, Is("id", "=", SQL_ID), SQL_ID),
    keys("an id full of JSON is an id", THREADS, OneOf("id", (JSON_ID, "t")), JSON_ID),
    keys(
        "both in a key of two columns",
        SPANS,
        Is("traceId", "=", SQL_ID) & Is("spanId", "=", JSON_ID),
        (SQL_ID, JSON_ID),
    ),
    keys("a UUID is the same in capitals", EVALS, Is("run_id", "=", str(RUNS[1]).upper()), "e2"),
    keys("UUIDs sort by their digits", EVALS, OneOf("run_id", RUNS), "e3", "e2", "e1", order=(desc("run_id"),)),
)

JSON: Final = (
    keys('in JSON, 1 is 1.0, but neither "1" nor true', THREADS, Is(_N, "=", 1), "t01", "t04"),
    keys("in JSON, 1.0 is 1", THREADS, Is(_N, "=", 1.0), "t01", "t04"),
    keys('in JSON, "1" is a text', THREADS, Is(_N, "=", "1"), "t02"),
    keys("in JSON, true is no number", THREADS, Is(_N, "=", True), "t03"),
    keys("in JSON, null is a value", THREADS, Is(_N, "=", None), "t05"),
    keys(
        "in JSON, a missing place differs from nothing",
        THREADS,
        Is(_N, "!=", 1),
        *("t02", "t03", "t05", SQL_ID, JSON_ID),
    ),
    keys(
        "the opposite leaves missing places out", THREADS, Not(Is(_N, "=", 1)), *("t02", "t03", "t05", SQL_ID, JSON_ID)
    ),
    keys("a place is null where it is missing or null", THREADS, Null(_N), *("t05", "t06", "t07", "t08", "t09", "t10")),
    keys(
        "a place that holds something is not null",
        THREADS,
        Not(Null(_N)),
        *("t01", "t02", "t03", "t04", SQL_ID, JSON_ID),
    ),
    keys("a place within null is null", THREADS, Null(_thread("user", "plan")) & ~_ADA, "t09", "t10", SQL_ID, JSON_ID),
    keys("a whole value is null where the column is", THREADS, Null(_thread()), "t10"),
    keys("an order in JSON holds between numbers", THREADS, Is(_N, ">", 0), "t01", "t04", SQL_ID, JSON_ID),
    keys("an order in JSON holds between texts", THREADS, Is(_N, ">=", "0"), "t02"),
    keys("large whole numbers in JSON keep their last digit", THREADS, Is(_N, "=", 2**53 + 1), SQL_ID),
    keys(
        "objects are equal in any order of keys, lists in theirs",
        THREADS,
        Is(_thread("user"), "=", {"plan": "pro", "tags": ["a", "b"]}),
        *("t06", "t07"),
    ),
    keys("an empty object equals itself only", THREADS, Is(_thread(), "=", {}), "t09"),
    keys("a place further down", THREADS, Is(_thread("user", "plan"), "=", "pro"), "t06", "t07", "t08"),
    keys("a place in a list", THREADS, Is(_thread("tags", 0), "=", "red"), "t06"),
    keys("a list has an element", THREADS, Is(_thread("tags"), "has", "red"), "t06"),
    keys("an element is matched whole", THREADS, Is(_thread("tags"), "has", "100%"), "t06"),
    keys("what is no list has nothing, nor lacks it", THREADS, Not(Is(_thread("tags"), "has", "red")), "t07"),
    keys("a dot in a key is no step", THREADS, Is(_thread("a.b"), "=", 1), SQL_ID),
    keys("a dollar sign in a key", THREADS, Is(_thread("$where"), "=", 2), SQL_ID),
    keys("quotation marks in a key", THREADS, Is(_thread('say "hi"'), "=", 3), SQL_ID),
)

JOINS: Final = (
    keys(
        "among the rows of another table",
        THREADS,
        Among("id", Scan(MESSAGES, Is("role", "=", "tool")), "thread_id"),
        "t02",
        "t06",
    ),
    keys("not among them", THREADS, Not(Among("id", Scan(MESSAGES), "thread_id")) & _ADA, "t03", "t04", "t05"),
    keys(
        "nulls among them say nothing",
        THREADS,
        Not(Among("id", Scan(SPANS), "threadId")) & _ADA,
        "t02",
        "t03",
        "t04",
        "t05",
    ),
    keys("null is not among rows, nor outside", SCORES, Not(Among("traceId", Scan(SPANS), "traceId")), "s4"),
    keys(
        "everything is outside of nothing",
        SCORES,
        Not(Among("traceId", Scan(SPANS, FALSE), "traceId")),
        *(f"s{n}" for n in range(1, 8)),
    ),
    keys(
        "among the newest two",
        THREADS,
        Among("id", Scan(MESSAGES, Is("role", "=", "user"), (desc("createdAt"),), 2), "thread_id"),
        *("t02", SQL_ID),
    ),
    keys(
        "among the rows of a reading", SCORES, Among("traceId", Scan(TRACES, Is("name", "=", "tool")), "traceId"), "s1"
    ),
)
