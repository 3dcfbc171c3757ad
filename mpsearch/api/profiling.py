"""Times of layers: measured here, or brought from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpsearch.core.errors import BadInput
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.progress import silent
from mpsearch.steps.session import open_session
from mpsearch.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from torch import nn

    from mpsearch.core.machine import MachineTable
    from mpsearch.steps.profile import Profile, ProfilePlan


def profile(model: str | nn.Module | None = None, *, plan: ProfilePlan | None = None,
            workspace: str = DEFAULT, progress: ProgressBar = silent, **options: Any) -> Profile:
    """Time every layer under every scheme of the space on this machine, and the rest of the graph.

    *plan* names the provider that runs them, the device's name, batches and threads. *model* and
    *options* are those of `measure`. What was timed on this processor with these versions is not
    timed again.

    Raises:
        BadInput: anything about the model, data, space or plan that cannot be used.
    """
    from mpsearch.steps.profile import ProfilePlan
    from mpsearch.steps.profile import profile as run

    return run(open_session(model, Workspace(workspace), options), plan or ProfilePlan(), progress)


def import_device(path: str, device: str | None = None, *, workspace: str = DEFAULT,
                  ) -> MachineTable:
    """Read a table of times (CSV, as `mpsearch profile --export` writes it) into *workspace*.

    Budgets in milliseconds may then count on it by its name, *device* or else the file's own.

    Raises:
        BadInput: the file is no such table, or its name is that of a shipped device or TOML
            file, or is no name.
    """
    from mpsearch.core.machine_csv import import_table
    from mpsearch.cost.devices import is_predicted
    from mpsearch.steps.devices import DeviceRef, save_table

    table = import_table(path, device)
    if is_predicted(table.device):
        raise BadInput(f"a table cannot go by the name '{table.device}', which is that of a "
                       "shipped device or of a TOML file: give another --device")
    if DeviceRef.parse(table.device) != DeviceRef(name=table.device):
        raise BadInput(f"a table cannot go by the name '{table.device}': give a --device without "
                       "settings and outer blanks")
    save_table(Workspace(workspace), table)
    return table
