"""Progress of long work: nothing by default, bars on standard error for the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DELAY_SECONDS = 2.0


@contextmanager
def silent(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
    """A bar that shows nothing."""
    yield lambda _steps: None


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that appears when the work takes more than two seconds.

    Logs and pipes get none: errors there stay the one line they are.
    Work in a single step has nothing to fill a bar with: on a terminal its title is written at
    once, elsewhere nothing is.
    """
    if total == 1:
        if sys.stderr.isatty():
            sys.stderr.write(f"{title} ...\n")
        yield lambda _steps: None
        return
    from tqdm import tqdm

    with tqdm(desc=title, total=total, delay=_DELAY_SECONDS, leave=False, dynamic_ncols=True,
              disable=None) as shown:
        yield lambda steps: _update(shown, steps)


def _update(shown: object, steps: int) -> None:
    shown.update(steps)  # type: ignore[attr-defined]
