"""Questions about what is ranked: rows that hold words, and rows whose vectors are near."""

from __future__ import annotations

from typing import Any, Final

from colonnade.engine.plan import TRUE, Among, Contains, Filter, Is, Nearest, Not, Scan, Search
from colonnade.schemas import RESOURCES, THREADS, VECTORS
from colonnade.testing.asking import Question, keys
from colonnade.testing.sample import MINUTE, NOON


def _search(caption: str, words: str, *ids: str, where: Filter = TRUE, limit: int = 10, some: bool = False) -> Question:
    columns = ("workingMemory", "metadata")
    return Question(caption, Search(RESOURCES, tuple(words.split()), columns, where, limit, some), ids)


def _nearest(caption: str, vector: tuple[float, ...], *rows: Any, where: Filter = TRUE, k: int = 10) -> Question:
    return Question(caption, Nearest(VECTORS, "embedding", vector, k, where, ("id",)), rows)


_CONTAINED: Final = (
    keys(
        "letters of either case are alike within texts",
        RESOURCES,
        Contains("workingMemory", "REFUND"),
        *("r1", "r2", "r3", "r8"),
    ),
    keys("what is contained is no pattern", RESOURCES, Contains("workingMemory", "0% "), "r7"),
    keys("and no regular expression", RESOURCES, Contains("workingMemory", "ref.nd")),
    keys("letters beyond ASCII have two cases too", RESOURCES, Contains("workingMemory", "\xe9CLAIR"), "r6"),
    keys("JSON contains what its text does", RESOURCES, Contains("metadata", '"NOTE":'), "r4"),
    keys(
        "whether null contains a text is unknown",
        RESOURCES,
        Not(Contains("workingMemory", "refund")),
        *("r5", "r6", "r7"),
    ),
)

_SEARCHES: Final = (
    _search("more often, in shorter texts and newer comes first", "refund denied", "r2", "r8", "r1", "r4"),
    _search("only the best are given", "denied refund", "r2", "r8", limit=2),
    _search("none are given of none", "refund", limit=0),
    _search(
        "rows with more of the words come first", "refund denied", *("r2", "r8", "r1", "r4", "r5", "r3"), some=True
    ),
    _search("a search keeps to its filter", "refund denied", "r2", "r1", where=Is("createdAt", "<", NOON + 2 * MINUTE)),
    _search(
        "a search keeps to another table's rows",
        "refund",
        "r2",
        where=Among("id", Scan(THREADS, Is("id", "=", "t06"), columns=("title",)), "title") | Is("id", "=", "r2"),
    ),
    _search("a part of a word is none", "fund"),
    _search("names of fields are no words", "list"),
    _search("words are cut where JSON breaks a line", "now", "r4"),
    _search("words have two cases in every script", "\xe9t\xe9", "r6"),
    _search("words are of any script", "\u62d2\u7edd", "r7"),
)

_NEIGHBOURS: Final = (
    _nearest(
        "the nearest by angle first, whatever their length, ties by key",
        (1.0, 0.0),
        *(("v1", 1.0), ("v6", 1.0), ("v2", 0.707106781), ("v4", 0.0), ("v3", -1.0)),
    ),
    _nearest("only the nearest are given", (1.0, 0.25), ("v1", 0.9701425), ("v6", 0.9701425), k=2),
    _nearest("vectors of other dimensions are passed over", (0.5, 0.0, 0.0), ("v5", 1.0)),
    _nearest("neighbours keep to a filter", (1.0, 0.0), ("v2", 0.707106781), where=Is("thread_id", "=", "t02")),
    _nearest("no neighbours of none", (1.0, 0.0), k=0),
)

RANKED: Final = (*_CONTAINED, *_SEARCHES, *_NEIGHBOURS)
"""All of them."""
