"""The engine for scores of the weights alone: no data, no run of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Group, LayerSpec, Scheme, ScoreTable, unique_weights
from mpsearch.fakequant.threads import threads_for
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.study import Rows, Study, table


class WeightEstimator(Protocol):
    """Scores one weight against its quantized self."""

    engine: ClassVar[str]
    unit: ClassVar[str]
    rides_along: ClassVar[bool]

    def score(self, weight: Tensor, quantized: Tensor) -> float:
        """The score of one tensor; tensors of a group add up."""
        ...


@dataclass(frozen=True, slots=True)
class WeightsEngine:
    """Scores of the weights alone."""

    def units(self, study: Study, estimator: WeightEstimator) -> list[str]:  # noqa: ARG002
        """One a group."""
        return [group.name for group in study.space.groups]

    def work(self, study: Study, estimators: Mapping[str, WeightEstimator], todo: Todo,
             note: Note) -> None:
        """Score every group and scheme by its weights.

        Raises:
            BadInput: the space quantizes activations, which weights tell nothing about.
        """
        require_weights_only(study, estimators)
        for unit, names in todo.items():
            for name in names:
                note(name, unit, _score(estimators[name], study, study.groups[unit]))

    def table(self, name: str, estimator: WeightEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """The scores as they are."""
        return table(name, estimator.unit, study.space, rows)


def require_weights_only(study: Study, names: Mapping[str, object]) -> None:
    """Check that a study is about weights alone.

    Raises:
        BadInput: its space quantizes activations; the message names the estimators.
    """
    for group in study.space.groups:
        if any(scheme.input or scheme.other for scheme in group.schemes):
            raise BadInput(f"{', '.join(names)} scores weights only and this space "
                           f"quantizes activations (layer '{group.name}'): use fisher or "
                           "kl_probe")


def _errors(study: Study, scheme: Scheme,
            members: Sequence[LayerSpec]) -> list[tuple[LayerSpec, Tensor, Tensor]]:
    weights, fmt = study.fake.weights, scheme.weight
    if fmt is None:
        return []
    return [(layer, weights.rows(layer.name), weights.fake(layer.name, fmt)) for layer in members]


def _score(estimator: WeightEstimator, study: Study, group: Group) -> Rows:
    study.prepare(group)
    members = unique_weights(study.space.members(group))
    with threads_for(elements=0):  # one thread sums in one order, so its last digit stays
        return [[float(sum(estimator.score(weight, quantized) for _, weight, quantized
                           in _errors(study, scheme, members)))] for scheme in group.schemes]
