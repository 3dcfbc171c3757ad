"""What `spaces` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpsearch.core.errors import BadInput
from mpsearch.report.grid import Grid, words
from mpsearch.shell.terminal import Tables


def spaces(name: str | None) -> tuple[dict[str, Any], Tables]:
    """What `spaces` prints: the shipped ones, or the text of one."""
    from mpsearch.spaces import load_space, shipped

    if name is None:
        loaded = {each: load_space(each) for each in shipped()}
        grid = Grid(title="Search spaces", columns=words("name", "description"), rows=tuple(
            (each, space.description) for each, space in loaded.items()))
        return {each: space.description for each, space in loaded.items()}, [grid]
    space = load_space(name)
    text = Path(shipped().get(name, Path(name))).read_text(encoding="utf-8")
    return {"name": space.name, "description": space.description, "toml": text}, [text]


def quantizers(name: str | None) -> tuple[dict[str, Any], Tables]:
    """What `spaces --quantizers` prints: every kind of format, installed ones included.

    Raises:
        BadInput: a space is named too.
    """
    if name is not None:
        raise BadInput(f"--quantizers lists all kinds of formats: leave out '{name}'")
    from mpsearch.report.kinds import kinds_data, kinds_tables

    data = kinds_data()
    return data, kinds_tables(data)
