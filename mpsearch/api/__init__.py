"""What a user calls. Each function is one arrow of the flow from a model to a policy that runs."""

from __future__ import annotations

from typing import Any

from mpsearch.api.choosing import Result, allocate, measure, pareto
from mpsearch.api.profiling import import_device, profile
from mpsearch.api.running import (
    apply,
    evaluate,
    evaluate_and_pack,
    evaluate_and_time,
    pack,
    run_packed,
    speed,
    unpack,
)
from mpsearch.api.searching import search, search_front, search_supernet
from mpsearch.steps.request import Request
from mpsearch.steps.search_plan import SearchPlan


def __getattr__(name: str) -> Any:
    if name == "FrontPlan":  # only `pareto` needs it
        from mpsearch.steps.fronts import FrontPlan

        return FrontPlan
    if name == "ProfilePlan":
        from mpsearch.steps.profile import ProfilePlan

        return ProfilePlan
    raise AttributeError(f"module 'mpsearch.api' has no attribute '{name}'")


__all__ = ["FrontPlan", "ProfilePlan", "Request", "Result", "SearchPlan", "allocate", "apply",
           "evaluate", "evaluate_and_pack", "evaluate_and_time", "import_device", "measure",
           "pack", "pareto", "profile", "run_packed", "search", "search_front", "search_supernet",
           "speed", "unpack"]
