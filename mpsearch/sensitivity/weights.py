"""The engine for scores of the weights alone: no data, no run of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Group, ScoreTable, unique_weights
from mpsearch.fakequant.threads import threads_for
from mpsearch.sensitivity.study import Ledger, Progress, Rows, Study, table


class WeightEstimator(Protocol):
    """Scores one weight against its quantized self."""

    engine: ClassVar[str]
    unit: ClassVar[str]

    def score(self, weight: Tensor, quantized: Tensor) -> float:
        """The score of one tensor; tensors of a group add up."""
        ...


@dataclass(frozen=True, slots=True)
class WeightsEngine:
    """Scores of the weights alone."""

    def units(self, study: Study) -> int:
        """Number of pieces of work for one estimator: one a group."""
        return len(study.space.groups)

    def measure(self, estimators: Mapping[str, WeightEstimator], study: Study,
                ledgers: Mapping[str, Ledger], progress: Progress) -> dict[str, ScoreTable]:
        """Score every group and scheme by its weights.

        Raises:
            BadInput: the space quantizes activations, which weights tell nothing about.
        """
        for group in study.space.groups:
            if any(scheme.input or scheme.other for scheme in group.schemes):
                raise BadInput(f"{', '.join(estimators)} scores weights only and this space "
                               f"quantizes activations (layer '{group.name}'): use fisher or "
                               "kl_probe")
        tables = {}
        for name, estimator in estimators.items():
            rows = {}
            for group in study.space.groups:
                done = ledgers[name].get(group.name)
                if done is None:
                    done = _score(estimator, study, group)
                    ledgers[name].put(group.name, done)
                rows[group.name] = done
                progress(1)
            tables[name] = table(name, estimator.unit, study.space, rows)
        return tables


def _score(estimator: WeightEstimator, study: Study, group: Group) -> Rows:
    study.prepare(group)
    weights, members = study.fake.weights, unique_weights(study.space.members(group))
    rows = []
    with threads_for(elements=0):  # one thread sums in one order, so its last digit stays
        for scheme in group.schemes:
            fmt = scheme.weight
            rows.append([0.0 if fmt is None else sum(
                estimator.score(weights.rows(layer.name), weights.fake(layer.name, fmt))
                for layer in members)])
    return rows
