"""What is searched, and what tells how good a choice is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mpsearch.core.errors import BadInput
from mpsearch.nas.landscape import Choice, Landscape

GoOn = Callable[[Sequence[float]], bool]
"""Is told the loss of every sample so far; whether the rest is worth measuring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was measured: the loss of every sample (KL, nats), and the share that is right.

    *complete* is false where measuring ended early. *accuracy* is None without labels.
    """

    samples: tuple[float, ...]
    accuracy: float | None = None
    complete: bool = True

    @property
    def loss(self) -> float:
        """The mean loss of a sample."""
        return sum(self.samples) / len(self.samples)


Measure = Callable[[Choice, GoOn], Outcome]
Direction = Literal["minimize", "maximize"]
LOSS, ACCURACY = "loss", "accuracy"
_MEASURED: Mapping[str, Direction] = {LOSS: "minimize", ACCURACY: "maximize"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A *landscape* to search, and what *measure* says of its choices.

    *objectives* are ``loss``, ``accuracy`` or names of *costs*, which are functions of a choice.
    *starts* are choices with their origin, measured first. *units* of costs are for people.
    """

    landscape: Landscape
    measure: Measure
    objectives: tuple[str, ...] = (LOSS,)
    costs: Mapping[str, Callable[[Choice], float]]
    starts: tuple[tuple[str, Choice], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.objectives:
            if name not in {*_MEASURED, *self.costs}:
                known = ", ".join([*_MEASURED, *self.costs])
                raise BadInput(f"'{name}' is no objective of this search: use {known}")
        if len(set(self.objectives)) < len(self.objectives) or not self.objectives:
            raise BadInput("name one objective or several different ones")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """For each objective, whether less or more is better."""
        return tuple(_MEASURED.get(name, "minimize") for name in self.objectives)

    def values(self, choice: Choice, outcome: Outcome) -> tuple[float, ...]:
        """What each objective says of *choice*.

        Raises:
            BadInput: accuracy of data without labels.
        """
        return tuple(self._value(name, choice, outcome) for name in self.objectives)

    def _value(self, name: str, choice: Choice, outcome: Outcome) -> float:
        if name == LOSS:
            return outcome.loss
        if name == ACCURACY:
            if outcome.accuracy is None:
                raise BadInput("accuracy is an objective only where the data has labels: "
                               "search by loss")
            return outcome.accuracy
        return self.costs[name](choice)
