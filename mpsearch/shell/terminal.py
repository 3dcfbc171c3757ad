"""What goes to the terminal, and what of it is read: answers, notes, errors, options."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.report.grid import Grid

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell has it."""
Tables = Sequence[Grid | str]


def answer(data: Mapping[str, Any], as_json: bool, tables: Tables) -> None:
    """Print *data* as one JSON object, or *tables* for a person, on standard output.

    All of it is handed over on return: whoever cannot take it raises here, not at exit.
    """
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    if as_json:
        text = json.dumps(data, ensure_ascii=not unicode, allow_nan=False)
    else:
        styled = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        text = "\n".join(_lines(tables, styled, "─" if unicode else "-"))
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _lines(tables: Tables, styled: bool, rule: str) -> Iterator[str]:
    """Nothing is ever cut: a table wider than the terminal wraps there."""
    for part in tables:
        yield from [part] if isinstance(part, str) else part.lines(styled=styled, rule=rule)


def notes(lines: Sequence[str]) -> None:
    """What the user should know, on standard error."""
    for line in lines:
        sys.stderr.write(f"note: {line}\n")


def fail(message: str) -> NoReturn:
    """One line on standard error, exit code 2."""
    sys.stderr.write(f"mpsearch: error: {' '.join(message.split())}\n")
    sys.exit(2)


@contextmanager
def workers(jobs: int) -> Iterator[None]:
    """Score layers in so many processes; with one, as joblib is configured already.

    Raises:
        BadInput: not a positive number.
    """
    if jobs < 1:
        raise BadInput(f"the number of jobs must be at least 1, not {jobs}")
    if jobs == 1:
        yield
        return
    from joblib import parallel_config

    with parallel_config(backend="loky", n_jobs=jobs):
        yield


def parse_bytes(text: str) -> int:
    """A number of bytes, as in 2GiB.

    Raises:
        BadInput: not a positive number with a unit of bytes.
    """
    try:
        amount = Budget.parse(text)
    except BadInput as error:
        raise BadInput(f"cannot read the memory '{text}': write it as 512MiB or 2GiB") from error
    if amount.metric != "file_bytes":
        raise BadInput(f"the memory '{text}' is no number of bytes: write it as 512MiB or 2GiB")
    return int(amount.limit)
