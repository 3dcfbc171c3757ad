"""An integer program: operations in order, each on integers whose grid is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mpsearch.backends.integer_only.grid import Grid


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One operation: *op* takes the values named by *inputs* and makes the one called *name*.

    The value's integers lie on *grid* and are of its type; None says that it is a size, or an index
    into a table. *module* is the path of the torch module the step belongs to.
    """

    name: str
    op: Callable[..., Any]
    inputs: tuple[str, ...]
    grid: Grid | None
    module: str = ""


class Steps:
    """Steps in order of execution; a value is dropped after its last use."""

    def __init__(self, steps: Sequence[Step], result: str) -> None:
        self.steps, self.result = tuple(steps), result
        last = {name: place for place, step in enumerate(steps) for name in step.inputs}
        self._drop: list[list[str]] = [[] for _ in steps]
        for name, place in last.items():
            if name != result:
                self._drop[place].append(name)

    def run(self, given: Mapping[str, Tensor],
            watch: Callable[[Step, Any], None] | None = None) -> Tensor:
        """The result, from the integers of the inputs by name; *watch* sees every value made."""
        values: dict[str, Any] = dict(given)
        for step, dead in zip(self.steps, self._drop, strict=True):
            values[step.name] = step.op(*(values[name] for name in step.inputs))
            if watch is not None:
                watch(step, values[step.name])
            for name in dead:
                del values[name]
        result: Tensor = values[self.result]
        return result
