"""Output that is longer than the screen goes through a pager, as that of git does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from rich.console import Console, RenderableType
from rich.text import Text

from colonnade.display.screen import console


def show(*pictures: RenderableType, paged: bool = True) -> None:
    """Print pictures, and texts of one line, on standard output; through ``$PAGER`` where its screen is too small.

    The pager is ``less`` unless ``PAGER`` names another, with ``LESS=FRX`` unless that is set: it ends by itself where
    all fits, shows colours, and leaves the screen as it is. An empty ``PAGER``, or ``cat``, is none.
    """
    screen = console()
    command = pager() if paged and screen.is_terminal and sys.stdin.isatty() else None
    text = "" if command is None else _text(screen, pictures)
    if command is None or text is None or text.count("\n") < screen.height:
        _print(screen, pictures)
    else:
        _page(command, text)


def pager() -> str | None:
    """The command line of the pager; ``None`` where there is none."""
    named = os.environ.get("PAGER")
    if named is not None:
        return named if named.strip() not in ("", "cat") else None
    return "less" if shutil.which("less") else None


def _print(screen: Console, pictures: tuple[RenderableType, ...]) -> None:
    for picture in pictures:
        screen.print(picture, soft_wrap=isinstance(picture, Text))  # a text is one line, however long: it is copied


def _text(screen: Console, pictures: tuple[RenderableType, ...]) -> str | None:
    with screen.capture() as captured:
        _print(screen, pictures)
    text = captured.get()
    try:
        text.encode(screen.encoding)
    except (UnicodeEncodeError, LookupError):  # the console itself knows what to write instead
        return None
    return text


def _page(command: str, text: str) -> None:
    environment = {"LESS": "FRX", **os.environ}
    sys.stdout.flush()
    reader = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env=environment)
    try:
        reader.communicate(text.encode(errors="replace"))
    except BrokenPipeError:  # it was left before it had read everything
        pass
    except KeyboardInterrupt:  # Ctrl-C is for the pager, which goes on
        reader.wait()
