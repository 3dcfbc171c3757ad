"""Devices by name: tables that were measured or imported here, and profiles that predict them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mpsearch.core.budget import NEEDS_DEVICE, Budget
from mpsearch.core.errors import BadInput
from mpsearch.core.flow import Flow
from mpsearch.core.machine import MachineTable
from mpsearch.core.types import SearchSpace
from mpsearch.cost.devices import shipped
from mpsearch.cost.energy import EnergyTable
from mpsearch.cost.profiles import load_profile
from mpsearch.cost.roofline import predict
from mpsearch.steps.costing import Costing, Machine
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.workspace import Workspace, digest

FLOWS, MACHINES, DEVICES = "flows", "machines", "devices"
HOST = "host"
"""The machine that `profile` measures, where it is given no other name."""
_DIGITS = 9
"""Of the largest batch or number of threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRef:
    """A device by name, and for how many samples at once and threads a latency counts."""

    name: str = HOST
    batch: int = 1
    threads: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``zen5`` or ``host(batch=8,threads=2)``.

        Raises:
            BadInput: another setting, or one that is no positive whole number.
        """
        found = re.fullmatch(r"\s*([^()]+?)\s*(?:\(([^()]*)\))?\s*", text)
        if found is None:
            raise BadInput(f"cannot read the device '{text}': write zen5 or "
                           "host(batch=8,threads=2)")
        given: dict[str, int] = {}
        for item in filter(str.strip, (found[2] or "").split(",")):
            key, _, value = (part.strip() for part in item.partition("="))
            if key not in {"batch", "threads"} or not (
                    value.isascii() and value.isdigit() and len(value) <= _DIGITS
                    and int(value) >= 1):
                raise BadInput(f"the device '{text}' takes batch and threads as positive whole "
                               f"numbers, not '{item.strip()}'")
            given[key] = int(value)
        return cls(name=found[1], **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Which table a device's name stands for: it is kept under a key made from its content."""

    device: str
    table: str


def device_for(budgets: Sequence[Budget], device: str | None, workspace: Workspace) -> str | None:
    """The device to reckon with: what is asked for, or this machine where a budget needs one.

    Raises:
        BadInput: no table and no profile goes by that name, or none is given and none was measured.
    """
    needing = next((budget for budget in budgets if budget.metric in NEEDS_DEVICE), None)
    if device is None and needing is None:
        return None
    ref = DeviceRef.parse(device or HOST)
    if saved_table(workspace, ref.name) is None:
        if ref.name == HOST:
            asked = f"the budget {needing} is a latency, and" if needing else "the device is host:"
            raise BadInput(f"{asked} nothing was timed on this machine: run mpsearch profile "
                           f"first, or give --device, such as {', '.join(shipped())}")
        load_profile(ref.name)
    return device or HOST


def save_table(workspace: Workspace, table: MachineTable) -> str:
    """Keep *table* under its content and its device's name; its key.

    Raises:
        BadInput: the workspace cannot be written.
    """
    key = digest(table)
    workspace.save(MACHINES, key, table)
    workspace.save(DEVICES, digest(table.device), Named(device=table.device, table=key))
    return key


def saved_table(workspace: Workspace, name: str) -> tuple[str, MachineTable] | None:
    """The table that was measured or imported under *name*, with its key; None if there is none."""
    named = workspace.load(DEVICES, digest(name), Named)
    if named is None:
        return None
    table = workspace.load(MACHINES, named.table, MachineTable)
    return None if table is None else (named.table, table)


def machine_of(workspace: Workspace, ref: DeviceRef, space: SearchSpace, flow: Flow) -> Machine:
    """The device *ref* with its times for *space*: those of its table, else predicted ones."""
    known = saved_table(workspace, ref.name)
    if known is not None:
        return Machine(table=known[1], key=known[0], batch=ref.batch, threads=ref.threads)
    profile = load_profile(ref.name)
    table = predict(profile, space, flow, batch=ref.batch, threads=ref.threads)
    key = digest(table)
    if workspace.load(MACHINES, key, MachineTable) is None:
        workspace.save(MACHINES, key, table)
    return Machine(table=table, key=key, batch=ref.batch, threads=ref.threads,
                   energy=profile.energy)


def costing_of(session: Session, record: StudyRecord, device: str | None) -> Costing | None:
    """What is summed over all that a study's model runs; None where its flow is not known yet."""
    flow = session.workspace.load(FLOWS, session.key, Flow)
    if flow is None:
        return None
    machine = machine_of(session.workspace, DeviceRef.parse(device), record.space, flow) if (
        device) else None
    made = Costing(space=record.space, flow=flow, machine=machine)
    made.latency  # noqa: B018 - refuses a table that lacks times
    return made


def costing_again(workspace: Workspace, study: str, record: StudyRecord,
                  device: Mapping[str, Any] | None) -> Costing | None:
    """The costing of a policy whose provenance names *device*; None where it is not kept here."""
    flow = workspace.load(FLOWS, study, Flow)
    if flow is None:
        return None
    if not device:
        return Costing(space=record.space, flow=flow)
    try:
        key, batch, threads = str(device["table"]), int(device["batch"]), int(device["threads"])
        energy = EnergyTable(**device["energy"]) if device.get("energy") else None
    except (KeyError, TypeError, ValueError, BadInput):
        return None
    table = workspace.load(MACHINES, key, MachineTable)
    return None if table is None else Costing(space=record.space, flow=flow, machine=Machine(
        table=table, key=key, batch=batch, threads=threads, energy=energy))
