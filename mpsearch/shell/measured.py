"""What `measure` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpsearch.core import io
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import number
from mpsearch.shell.terminal import Tables

if TYPE_CHECKING:
    from mpsearch.steps.measure import Measured


def measured_data(measured: Measured) -> dict[str, Any]:
    """What `measure` prints with ``--json``."""
    space = measured.record.space
    return {"study": measured.key, "model": io.to_data(measured.record.model),
            "layers": len(space.layers), "groups": len(space.groups),
            "weights": space.weights, "measured_units": measured.new_units,
            "resumed_units": measured.resumed_units,
            "tables": {name: io.to_data(scores) for name, scores in measured.tables.items()},
            "notes": list(measured.record.notes)}


def measured_tables(measured: Measured) -> Tables:
    """A row a group: its layers, and its scores from the cheapest scheme to the dearest."""
    space = measured.record.space
    grids: list[Grid | str] = []
    for name, scores in measured.tables.items():
        rows = tuple(
            (group.name, str(len(group.layers)), str(len(group.schemes)), number(row[0]),
             number(row[-1])) for group, row in zip(space.groups, scores.values, strict=True))
        grids.append(Grid(title=f"{name} ({scores.unit})", columns=words("group") + numbers(
            "layers", "schemes", "score of the first", "score of the last"), rows=rows))
    done = (f"{measured.new_units} units measured, {measured.resumed_units} taken from an "
            "interrupted run" if measured.new_units or measured.resumed_units else
            "everything was measured before: nothing was measured anew")
    return [*grids, done]
