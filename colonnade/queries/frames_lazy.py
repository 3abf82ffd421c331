"""A lazy Polars frame over a selection: what Polars will use of it, and no more, is read when it is collected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from colonnade.queries.frames import polars_frame, polars_schema
from colonnade.queries.frames_predicate import filter_of
from colonnade.queries.selection_reading import too_large
from colonnade.queries.watching import Progress, watched

if TYPE_CHECKING:
    import polars

    from colonnade.queries.selection import Selection


def lazy_frame(chosen: Selection[Any], most: int | None, progress: Progress | None) -> polars.LazyFrame:
    """The frame of a selection, read by Polars: its columns, filters and row limits are handed to the store.

    ``TooLarge`` where Polars is handed more than ``most`` bytes in one reading. ``Unsupported`` where the store has no
    driver that blocks, for Polars does not await.
    """
    from polars.io.plugins import register_io_source

    chosen.reader.blocking(chosen.plan)  # which reads nothing yet, and is refused here if at all

    def read(
        columns: list[str] | None, predicate: polars.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[polars.DataFrame]:
        frames = _frames(chosen, columns, predicate, rows)
        return _bounded(frames, chosen.table.name, most, progress)

    return register_io_source(
        read, schema=polars_schema(chosen.schema), explain_name="colonnade", explain_detail=repr(chosen)[:200]
    )


def narrowed(
    chosen: Selection[Any], columns: list[str] | None, predicate: polars.Expr | None, rows: int | None
) -> Selection[Any]:
    """The selection with what Polars asks of it, as far as it can be asked of a store.

    ``rows`` are counted before the predicate holds of them: with both, and where the selection has a limit of its own,
    the predicate stays with Polars.
    """
    if columns is not None:
        used = {*columns, *(() if predicate is None else predicate.meta.root_names())}
        wanted = tuple(each for each in chosen.chosen if each.name in used)
        chosen = replace(chosen, wanted=wanted or chosen.chosen[:1])
    if predicate is not None and rows is None and chosen.most is None:
        stored = {each.name for each in chosen.chosen if each.at is None}
        if stored >= set(predicate.meta.root_names()):  # else a name means a place inside JSON
            chosen = replace(chosen, kept=chosen.kept & filter_of(predicate, chosen.table))
    if rows is not None and (chosen.order or chosen.most is not None):
        chosen = replace(chosen, most=rows if chosen.most is None else min(rows, chosen.most))
    return chosen


def _frames(
    chosen: Selection[Any], columns: list[str] | None, predicate: polars.Expr | None, rows: int | None
) -> Iterator[polars.DataFrame]:
    asked = narrowed(chosen, columns, predicate, rows)
    left = rows
    empty = True
    for batch in asked.reader.blocking(asked.plan):
        if left == 0:
            break
        frame = polars_frame(asked.shape(batch))
        if left is not None:
            frame = frame.head(left)  # in any order, so that reading ends here
            left -= frame.height
        yield _asked(frame, columns, predicate)
        empty = False
    if empty:
        yield _asked(polars_frame(asked.schema.empty_table()), columns, predicate)


def _bounded(
    frames: Iterator[polars.DataFrame], what: str, most: int | None, progress: Progress | None
) -> Iterator[polars.DataFrame]:
    rows, held = 0, 0.0
    with watched(f"reading {what}", progress) as tell:
        for frame in frames:
            held += frame.estimated_size()
            if most is not None and held > most:
                raise too_large(what, rows, most)
            rows += frame.height
            tell(rows)
            yield frame


def _asked(frame: polars.DataFrame, columns: list[str] | None, predicate: polars.Expr | None) -> polars.DataFrame:
    kept = frame if predicate is None else frame.filter(predicate)
    return kept.select(columns) if columns else kept
