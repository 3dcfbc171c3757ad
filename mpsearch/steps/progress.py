"""Progress of long work: nothing by default, bars or lines on standard error for a command."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

Note = Callable[[], str]
"""Says how the work goes. It may take a while, so it is called only where that is shown."""

_DELAY_SECONDS = 2.0
_NOTE_SECONDS = 1.0
_LINE_SECONDS = 30.0
_LINE_SHARE = 0.1
_FORMAT = "{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}"


class Step(Protocol):
    """Takes so many steps of the work, and what may be said about it."""

    def __call__(self, steps: int, note: Note | None = None) -> None:
        """*steps* more are done; *note* says how it goes."""
        ...


@contextmanager
def silent(_title: str, _total: int) -> Iterator[Step]:
    """A bar that shows nothing."""
    yield lambda _steps, note=None: None  # noqa: ARG005 - nothing is shown


@contextmanager
def bar(title: str, total: int) -> Iterator[Step]:
    """A bar on standard error that appears when the work takes more than two seconds.

    Logs and pipes get none: errors there stay the one line they are. Only work that has something
    to say, as a search does, writes a line there now and then.
    Work in a single step has nothing to fill a bar with: on a terminal its title is written at
    once, elsewhere nothing is.
    """
    if not sys.stderr.isatty():
        yield Lines(title, total)
        return
    if total == 1:
        sys.stderr.write(f"{title} ...\n")
        yield lambda _steps, note=None: None  # noqa: ARG005 - there is nothing to say in between
        return
    from tqdm import tqdm

    with tqdm(desc=title, total=total, delay=_DELAY_SECONDS, leave=False,
              dynamic_ncols=True) as shown:
        yield Noted(shown)


class Noted:
    """Steps of the bar *shown*, with the latest note behind it once a second."""

    def __init__(self, shown: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown, self._clock, self._last = shown, clock, float("-inf")

    def __call__(self, steps: int, note: Note | None = None) -> None:
        """As `Step` says."""
        if note is not None and self._clock() - self._last >= _NOTE_SECONDS:
            self._shown.bar_format = _FORMAT  # the note says how much time is left
            self._shown.set_postfix_str(note(), refresh=False)
            self._last = self._clock()
        self._shown.update(steps)


class Lines:
    """Lines on standard error: after half a minute, then whenever a tenth of the time went by."""

    def __init__(self, title: str, total: int,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._begun = self._last = clock()
        self._done = 0

    def __call__(self, steps: int, note: Note | None = None) -> None:
        """As `Step` says; without a note nothing is written."""
        self._done += steps
        now = self._clock()
        wait = max(_LINE_SECONDS, _LINE_SHARE * (now - self._begun))
        if note is not None and now - self._last >= wait:
            self._last = now
            sys.stderr.write(f"{self._title}: {self._done} of {self._total}, {note()}\n")
            sys.stderr.flush()
