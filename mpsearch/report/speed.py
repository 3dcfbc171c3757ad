"""A policy's size and speed beside the float model's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpsearch.core.machine import NOISE
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import human_bytes, number

_SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Milliseconds of a *batch* on so many *threads* and bytes, of the float model and a policy.

    *float_bytes* are all tensors of the model, *policy_bytes* the file that packing writes.
    *float_inputs* says that the policy quantizes no activations: then nothing runs in integers.
    """

    backend: str
    batch: int
    threads: int
    float_ms: float
    policy_ms: float
    float_bytes: int
    policy_bytes: int
    float_inputs: bool

    @property
    def ratio(self) -> float:
        """How many times as fast as the float model the policy is."""
        return self.float_ms / self.policy_ms if self.policy_ms else math.inf


def beside(speed: Speed) -> Grid:
    """A row for the float model and one for the policy."""
    title = (f"Measured on this machine: a batch of {speed.batch} on {speed.threads} "
             f"thread{'s' if speed.threads > 1 else ''}, {speed.backend} backend")
    return Grid(title=title, columns=words("model") + numbers("size", "milliseconds", "speed-up"),
                rows=(("float", human_bytes(speed.float_bytes), number(speed.float_ms), "1"),
                      ("this policy", _size(speed.policy_bytes), number(speed.policy_ms),
                       f"{speed.ratio:.2f}")))


def slower(speed: Speed) -> list[str]:
    """A line that says why, where the policy is not faster than the float model beyond noise."""
    if speed.policy_ms * (1 + NOISE) < speed.float_ms:
        return []
    if speed.backend == _SIMULATED:
        why = ("the simulation is not faster than the float model: it computes in float and rounds "
               "on the way; --backend integer says how fast the integers are")
    elif speed.float_inputs:
        why = ("not faster than the float model: this policy leaves all activations in float, and "
               "so the arithmetic; its weights are smaller")
    else:
        why = ("this policy is not faster here than the float model: mpsearch profile --provider "
               "integer says which layers are, and a budget in milliseconds avoids the others")
    return [why]


def _size(count: int) -> str:
    return human_bytes(count) if count else "unknown"
