"""Plug-ins by name: built-in ones as strings, others through entry points.

An object is imported only when its name is asked for, so that listing names costs nothing and
choosing an allocator never imports torch.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from mpsearch.core.errors import UnknownName

BUILTIN: dict[str, dict[str, str]] = {
    "estimator": {
        "weight_error": "mpsearch.sensitivity.weight_error:WeightError",
        "fisher": "mpsearch.sensitivity.fisher:Fisher",
        "kl_probe": "mpsearch.sensitivity.kl_probe:KlProbe",
    },
    "engine": {
        "weights": "mpsearch.sensitivity.weights:WeightsEngine",
        "replay": "mpsearch.sensitivity.replay:ReplayEngine",
        "probe": "mpsearch.sensitivity.probe:ProbeEngine",
    },
    "cost": {
        "size": "mpsearch.cost.size:size",
        "bops": "mpsearch.cost.bops:bops",
    },
    "allocator": {"ilp": "mpsearch.allocation.ilp:Ilp"},
    "quantizer": {"int": "mpsearch.quantizers.uniform:Uniform"},
    "backend": {"simulated": "mpsearch.backends.simulated:Simulated"},
}


@cache
def _external(kind: str) -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=f"mpsearch.{kind}")}


def names(kind: str) -> list[str]:
    """Every name that plug-ins of *kind* answer to."""
    return sorted({**_external(kind), **BUILTIN[kind]})


def load(kind: str, name: str) -> Any:
    """The object registered as *name*.

    Raises:
        UnknownName: nothing of that kind has the name.
    """
    place = BUILTIN[kind].get(name) or _external(kind).get(name)
    if place is None:
        raise UnknownName(kind, name, names(kind))
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
