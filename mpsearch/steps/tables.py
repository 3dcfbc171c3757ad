"""Score tables in the workspace: means as JSON, scores of single samples beside them as an array.

There are as many samples' scores as calibration samples, and most questions need none of them.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from mpsearch import plugins
from mpsearch.core.types import ScoreTable
from mpsearch.workspace import Workspace, digest

_TABLES, _SAMPLES = "tables", "samples"


def table_key(study_key: str, name: str, estimator: Any) -> str:
    """Key of one estimator's table within a study."""
    return digest({"study": study_key, "estimator": plugins.base_name(name),
                   "settings": asdict(estimator)})


def save_table(workspace: Workspace, key: str, table: ScoreTable) -> None:
    """Keep a finished table, and the scores of its samples in a file of their own.

    Raises:
        BadInput: the workspace cannot be written.
    """
    if table.samples:
        workspace.save_array(_SAMPLES, key, table.samples)
    workspace.save(_TABLES, key, without_samples(table))


def load_table(workspace: Workspace, key: str, *, samples: bool = False) -> ScoreTable | None:
    """The table under *key*, with the scores of single *samples* only if they are asked for.

    None if it was never finished, or if they are asked for and their file is gone. A table of an
    earlier version has them in itself.
    """
    table = workspace.load(_TABLES, key, ScoreTable)
    if table is None or not samples:
        return table and without_samples(table)
    if not table.sampled:
        return table
    rows = workspace.load_array(_SAMPLES, key, columns=sum(map(len, table.values)))
    return None if rows is None else replace(table, samples=rows)


def without_samples(table: ScoreTable) -> ScoreTable:
    """*table* with a note of whether it had scores of single samples, in their place."""
    return replace(table, samples=(), sampled=True) if table.samples else table
