"""What `profile` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpsearch.shell.terminal import Tables

if TYPE_CHECKING:
    from mpsearch.core.machine import MachineTable
    from mpsearch.steps.profile import Profile


def profiled(found: Profile, export: Path | None, *,
             as_json: bool) -> tuple[dict[str, Any], bool, Tables]:
    """What `profile` prints: each layer's times, and what bounds it."""
    from mpsearch.report import times
    from mpsearch.steps.timeline import timelines

    lines, files = timelines(found), _exported(found.table, export)
    data = {**times.about(found.table), "new": found.new, "refused": list(found.refused),
            "profiles": [times.data(line, packed=found.table.packed) for line in lines],
            "files": files}
    said = [*(f"{found.table.provider} does not offer it: {why}" for why in found.refused),
            *(f"wrote {name}" for name in files),
            f"{found.new} times measured anew; {times.summary(found.table)}"]
    return data, as_json, [*times.told(lines, packed=found.table.packed), *said]


def imported(read: MachineTable, export: Path | None, *,
             as_json: bool) -> tuple[dict[str, Any], bool, Tables]:
    """What `profile --import` prints."""
    from mpsearch.report import times

    files = _exported(read, export)
    return {**times.about(read), "files": files}, as_json, [
        f"imported: {times.summary(read)}", *(f"wrote {name}" for name in files)]


def _exported(read: MachineTable, export: Path | None) -> list[str]:
    if export is None:
        return []
    from mpsearch.core.machine_csv import export_table

    export_table(read, export)
    return [str(export)]
