"""What takes long says how far it is, to whoever sits before it."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

import colonnade
from colonnade.display import progress
from colonnade.queries import watching


class Screen:
    """A counter of rows that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.shown = threading.Event()
        self.is_gone = False

    @contextmanager
    def counter(self, what: str) -> Iterator[Callable[[int], None]]:
        assert what == "reading spans"
        self.shown.set()
        try:
            yield self.told.append
        finally:
            self.is_gone = True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()
    monkeypatch.setattr(watching, "_is_watched", lambda: True)
    monkeypatch.setattr(progress, "counter", made.counter)
    return made


def test_what_takes_long_is_shown_and_then_gone(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.001)
    with watching.watched("reading spans") as tell:
        tell(1)
        assert screen.shown.wait(60)
        tell(2)
        while 2 not in screen.told:  # it is told what it missed, and then all that comes
            tell(2)
    assert screen.is_gone


def test_an_error_takes_the_picture_away(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.001)

    def fail() -> None:
        with watching.watched("reading spans"):
            assert screen.shown.wait(60)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert screen.is_gone


def test_what_is_quick_shows_nothing(screen: Screen) -> None:
    with colonnade.open(":memory:") as store:
        store.spans.to_arrow()
    assert not screen.shown.is_set()


def test_nobody_is_shown_anything_where_nobody_watches_or_who_asked_is_told(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.0)
    told: list[int] = []
    with watching.watched("reading spans", told.append) as tell:
        tell(3)
    monkeypatch.setattr(watching, "_is_watched", lambda: False)
    with watching.watched("reading spans") as tell:
        tell(4)
    assert told == [3] and not screen.shown.is_set()


def test_the_counter_says_how_many_rows_there_are() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with progress.counter("reading spans", console) as tell:
        tell(1234567)
    assert isinstance(console.file, io.StringIO)
    assert "reading spans 1,234,567 rows" in console.file.getvalue()
