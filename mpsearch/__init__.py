"""Find the best mixed-precision policy for a neural network, and run it.

Names that need torch are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpsearch.api import (
        FrontPlan,
        ProfilePlan,
        Request,
        Result,
        SearchPlan,
        allocate,
        apply,
        evaluate,
        import_device,
        measure,
        pack,
        pareto,
        profile,
        run_packed,
        search,
        search_front,
        search_supernet,
        speed,
        unpack,
    )
    from mpsearch.core.budget import Budget
    from mpsearch.core.errors import (
        BadInput,
        Infeasible,
        MpsearchError,
        UnknownName,
        Unsupported,
    )
    from mpsearch.core.formats import IntFormat
    from mpsearch.core.types import Evaluation, Policy, Scheme, ScoreTable, SearchSpace

_PLACES = {
    "BadInput": "core.errors", "Budget": "core.budget", "Evaluation": "core.types",
    "FrontPlan": "api", "Infeasible": "core.errors", "IntFormat": "core.formats",
    "MpsearchError": "core.errors", "Policy": "core.types", "ProfilePlan": "api", "Request": "api",
    "Result": "api",
    "Scheme": "core.types", "ScoreTable": "core.types", "SearchSpace": "core.types",
    "UnknownName": "core.errors", "Unsupported": "core.errors", "allocate": "api",
    "apply": "api", "evaluate": "api", "import_device": "api", "measure": "api", "pack": "api",
    "pareto": "api", "profile": "api", "run_packed": "api", "search": "api",
    "search_front": "api", "search_supernet": "api",
    "SearchPlan": "api", "speed": "api",
    "unpack": "api",
}

__all__ = [
    "BadInput", "Budget", "Evaluation", "FrontPlan", "Infeasible", "IntFormat", "MpsearchError",
    "Policy", "ProfilePlan", "Request", "Result", "Scheme", "ScoreTable", "SearchPlan",
    "SearchSpace",
    "UnknownName", "Unsupported", "allocate", "apply", "evaluate", "import_device", "measure",
    "pack", "pareto", "profile", "run_packed", "search", "search_front", "search_supernet",
    "speed", "unpack",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'mpsearch' has no attribute '{name}'")
    return getattr(import_module(f"mpsearch.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_PLACES]
