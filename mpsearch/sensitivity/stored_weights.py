"""The stored weights of a space: which group owns them, and what each scheme does to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch.fx import Node

from mpsearch.core.types import Group, LayerSpec, unique_weights
from mpsearch.fakequant.threads import threads_for
from mpsearch.sensitivity.study import Rows, Study
from mpsearch.sensitivity.weight_error import WeightError


def owned(study: Study, groups: Iterable[Group]) -> Iterator[tuple[Group, LayerSpec, Node]]:
    """Every stored weight of *groups*, once a group, with the layer that owns it and its node."""
    for group in groups:
        for spec in unique_weights(study.space.members(group)):
            node = study.fake.layers.call(spec.name).parameter
            assert node is not None  # noqa: S101 - a weight is stored
            yield group, spec, node


def scaled_errors(study: Study, factors: Mapping[str, Sequence[Sequence[float]]],
                  count: int) -> dict[str, Rows]:
    """For every group and scheme *count* numbers: Σ over its weights of factor times error.

    *factors* has *count* numbers for each weight of a group.
    """
    made: dict[str, Rows] = {}
    for group in study.space.groups:
        study.prepare(group)
        total = [[0.0] * count for _ in group.schemes]
        owners = [spec for _, spec, _ in owned(study, [group])]
        for spec, factor in zip(owners, factors.get(group.name, ()), strict=True):
            for row, error in zip(total, _errors(study, group, spec.name), strict=True):
                row[:] = [known + each * error for known, each in zip(row, factor, strict=True)]
        made[group.name] = total
    return made


def _errors(study: Study, group: Group, layer: str) -> list[float]:
    weights = study.fake.weights
    rows, squared = weights.rows(layer), WeightError().score
    with threads_for(elements=0):  # one thread sums in one order, so its last digit stays
        return [0.0 if scheme.weight is None else
                squared(rows, weights.fake(layer, scheme.weight))
                for scheme in group.schemes]
