"""Times everything that a provider can run of a model and space, and keeps it for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.flow import Flow
from mpsearch.core.machine import MachineTable
from mpsearch.cost.devices import is_predicted
from mpsearch.steps.devices import (
    DEVICES,
    FLOWS,
    HOST,
    DeviceRef,
    machine_of,
    save_table,
    saved_table,
)
from mpsearch.steps.host import cpu_name
from mpsearch.steps.measure import ProgressBar, measure
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.steps.timer import Timer
from mpsearch.workspace import Workspace, digest

if TYPE_CHECKING:
    from mpsearch.backends.timing import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePlan:
    """What to time: by which *provider*, under which *device* name, for which batches and threads.

    *again* times what was timed before once more, and keeps the shorter times.

    Raises:
        BadInput: no batch or number of threads, or one that is not positive; no round; a name with
            settings.
    """

    provider: str = "simulated"
    device: str = HOST
    batches: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = (1,)
    rounds: int = 8
    again: bool = False

    def __post_init__(self) -> None:
        for name in ("batches", "threads"):
            values = getattr(self, name)
            if not values or min(values) < 1:
                raise BadInput(f"{name} to profile are positive whole numbers")
        if self.rounds < 1:
            raise BadInput(f"times are taken in at least 1 round, not {self.rounds}")
        plugins.require("provider", plugins.base_name(self.provider))
        if DeviceRef.parse(self.device) != DeviceRef(name=self.device):
            raise BadInput(f"times cannot be kept under '{self.device}': give a name without "
                           "settings and outer blanks")

    @classmethod
    def of(cls, provider: str, device: str | None, batches: Sequence[int],
           threads: Sequence[int], rounds: int, *, again: bool = False) -> Self:
        """A plan from options; no device is this machine.

        Raises:
            BadInput: what the plan itself refuses.
        """
        return cls(provider=provider, device=device or HOST, rounds=rounds, again=again,
                   batches=tuple(dict.fromkeys(batches)), threads=tuple(dict.fromkeys(threads)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A device's *table* after profiling, what it is about, and what was timed *new*.

    *refused* says what the provider could not run, a line each.
    """

    table: MachineTable
    record: StudyRecord
    flow: Flow
    plan: ProfilePlan
    new: int
    refused: tuple[str, ...] = ()


def profile(session: Session, plan: ProfilePlan, progress: ProgressBar) -> Profile:
    """Time what the session's model and space need, but for what this machine was timed on before.

    The name of a shipped device, or of a TOML file, times nothing: its table is predicted. Times
    are kept by processor and versions of the libraries at work; the table under the device's name
    gets what this model needs, beside what other models left in it.

    Raises:
        BadInput: anything wrong with the model, data or space.
        Unsupported: the model is not on a processor that a clock here can time.
    """
    record = measure(session, [], progress).record
    flow = session.workspace.load(FLOWS, session.key, Flow)
    if flow is None:
        raise BadInput(f"{session.workspace.root} lost what was just written: free some "
                       "space")
    if is_predicted(plan.device):
        return _predicted(session, plan, record, flow)
    provider: Provider = plugins.make("provider", plan.provider)
    own = MachineTable(device=plan.device, provider=plugins.canonical("provider", plan.provider),
                       cpu=cpu_name(), origin="measured", versions=dict(provider.versions()),
                       fusions=provider.fusions, packed=provider.packed)
    timer = Timer(session=session, record=record, flow=flow, provider=provider, progress=progress,
                   store=own, rounds=plan.rounds, again=plan.again)
    for batch in plan.batches:
        for threads in plan.threads:
            timer.run(batch, threads)
    needed = {(*key, batch, threads) for key in flow.needed(record.space)
              for batch in plan.batches for threads in plan.threads}
    own = replace(own, peaks=timer.store.peaks,
                  rows=tuple(row for row in timer.store.rows if row.key in needed))
    return Profile(table=_kept(session.workspace, own), record=record, flow=flow, plan=plan,
                   new=timer.new, refused=tuple(timer.refused))


def _kept(workspace: Workspace, own: MachineTable) -> MachineTable:
    """The device's table: *own*, beside the rows that other models left in it."""
    with workspace.locked(DEVICES, digest(own.device)):
        known = saved_table(workspace, own.device)
        table = own if known is None or not known[1].same_machine(own) else replace(
            own, rows=known[1].rows).with_rows(own.rows)
        save_table(workspace, table)
    return table


def _predicted(session: Session, plan: ProfilePlan, record: StudyRecord, flow: Flow) -> Profile:
    """What the profile of a device says: there is nothing to time."""
    tables = [machine_of(session.workspace, DeviceRef(name=plan.device, batch=batch,
                                                      threads=threads), record.space, flow).table
              for batch in plan.batches for threads in plan.threads]
    peaks = {peak.threads: peak for table in tables for peak in table.peaks}
    merged = replace(tables[0], peaks=tuple(peaks.values())).with_rows(
        row for table in tables for row in table.rows)
    return Profile(table=merged, record=record, flow=flow, plan=plan, new=0)
