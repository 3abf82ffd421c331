"""The vectors of messages: made from their text, and gone or moved when their messages are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Final

from colonnade.engine.operation import called
from colonnade.engine.plan import Delete, Is, OneOf, Patch, Put, Scan, Steps, change, rows
from colonnade.errors import InvalidInput
from colonnade.schemas.memory import MESSAGES, VECTORS
from colonnade.schemas.records import Record, decode, encode

Embedder = Callable[[list[str]], Sequence[Sequence[float]]]
"""Texts to vectors, one for each, all of the same number of dimensions."""

PIECE: Final = 16_384
"""Letters in a piece of a message that is embedded by itself: some 4,096 tokens."""
_WORKING_MEMORY: Final = re.compile("<working_memory>.*?</working_memory>", re.DOTALL)


def text_of_message(content: Any) -> str:
    """What of a message is embedded: its ``content``, or else the texts of its parts, without working memory."""
    text = content
    if isinstance(content, Mapping):
        text = content.get("content")
        if not isinstance(text, str) or not text:
            parts = content.get("parts")
            texts = [part.get("text") for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
            text = " ".join(each for each in texts if isinstance(each, str) and each)
    return _WORKING_MEMORY.sub("", text).strip() if isinstance(text, str) else ""


def in_pieces(text: str, size: int = PIECE) -> list[str]:
    """A text in pieces of a size, cut between words; none of no text."""
    pieces = []
    while len(text) > size:
        cut = text.rfind(" ", 1, size + 1)
        cut = size if cut < 0 else cut
        pieces.append(text[:cut])
        text = text[cut:].lstrip()
    return [*pieces, text] if text else pieces


def embedded(embedder: Embedder, texts: list[str]) -> Steps[list[list[float]]]:
    """The vectors of texts; ``InvalidInput`` where the embedder does not give one for each."""
    if not callable(embedder):
        raise InvalidInput(f"embedder must be a function from texts to vectors, not {type(embedder).__name__}")
    given: Any = yield from called(lambda: embedder(texts))
    if isawaitable(given):
        if hasattr(given, "close"):
            given.close()
        raise InvalidInput("the embedder is awaited, and must be a plain function: one that runs its own event loop")
    try:
        vectors = [[float(each) for each in vector] for vector in given]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the embedder must give a list of vectors: {error}") from None
    if len(vectors) != len(texts) or len(set(map(len, vectors))) > 1:
        sizes = sorted(set(map(len, vectors)))
        raise InvalidInput(f"the embedder gave {len(vectors)} vectors of {sizes} dimensions for {len(texts)} texts")
    return vectors


def embed(messages: Sequence[Record], embedder: Embedder, model: str) -> Steps[int]:
    """Embed messages as they were read; how many have a text. Outside of any transaction, which it would hold up."""
    vectors = yield from _vector_rows(messages, embedder, model)
    if vectors:
        yield from change(Put(VECTORS, encode(VECTORS, vectors)))
        # What changed while it was embedded took its vectors along before these were there.
        mine = OneOf("id", tuple(message["id"] for message in messages))
        now = decode(MESSAGES, (yield from rows(Scan(MESSAGES, mine))))
        yield from follow(messages, {message["id"]: message for message in now})
    return len({vector["messageId"] for vector in vectors})


def embed_missing(messages: Sequence[Record], embedder: Embedder, model: str) -> Steps[None]:
    """Embed those of some messages that have no vector."""
    mine = OneOf("message_id", tuple(message["id"] for message in messages)) & Is("model", "=", model)
    found = yield from rows(Scan(VECTORS, mine, columns=("id", "message_id")))
    known = set(found.column("message_id").to_pylist())
    yield from embed([message for message in messages if message["id"] not in known], embedder, model)


def _vector_rows(messages: Sequence[Record], embedder: Embedder, model: str) -> Steps[list[Record]]:
    """The vectors of messages, a row for each piece of their texts."""
    pieces = [(message, place, text) for message in messages for place, text in _pieces_of(message)]
    vectors = (yield from embedded(embedder, [text for _, _, text in pieces])) if pieces else []
    return [
        {
            "id": vector_id(message["id"], place),
            "messageId": message["id"],
            "threadId": message["threadId"],
            "resourceId": message["resourceId"],
            "piece": place,
            "model": model,
            "createdAt": message["createdAt"],
            "embedding": vector,
        }
        for (message, place, _), vector in zip(pieces, vectors, strict=True)
    ]


def _pieces_of(message: Record) -> list[tuple[int, str]]:
    return list(enumerate(in_pieces(text_of_message(message["content"]))))


def vector_id(message_id: str, piece: int) -> str:
    """The key of a vector: that of its message, for all but further pieces."""
    return f"{message_id}#{piece}" if piece else message_id


def forget(messages: Collection[str]) -> Steps[None]:
    """Delete the vectors of messages."""
    if messages:
        yield from change(Delete(VECTORS, OneOf("message_id", tuple(messages))))


def follow(before: Sequence[Record], after: Mapping[str, Record]) -> Steps[None]:
    """Let vectors follow their messages: they go where the text is another now, and move with the thread."""
    gone, moved = [], []
    for message in before:
        now = after.get(message["id"])
        if now is None or not _have_same_text(now["content"], message["content"]):
            gone.append(message["id"])
        elif (now["threadId"], now["resourceId"]) != (message["threadId"], message["resourceId"]):
            moved.append(now)
    yield from forget(gone)
    for message in moved:
        there = {"thread_id": message["threadId"], "resourceId": message["resourceId"]}
        yield from change(Patch(VECTORS, Is("message_id", "=", message["id"]), there))


def _have_same_text(content: Any, other: Any) -> bool:
    try:
        if content == other:  # as it is where a conversation is saved again with each step
            return True
    except RecursionError:
        pass  # nested too deeply to be compared, which texts are not
    return text_of_message(content) == text_of_message(other)


def copy_vectors(copies: Mapping[str, Record]) -> Steps[None]:
    """Give copies of messages, by the id of the original, the vectors of these: their texts are the same."""
    if not copies:
        return
    found = decode(VECTORS, (yield from rows(Scan(VECTORS, OneOf("message_id", tuple(copies))))))
    made = []
    for vector in found:
        copy = copies[vector["messageId"]]
        place = {"threadId": copy["threadId"], "resourceId": copy["resourceId"], "messageId": copy["id"]}
        made.append(vector | place | {"id": vector_id(copy["id"], vector["piece"])})
    if made:
        yield from change(Put(VECTORS, encode(VECTORS, made)))
