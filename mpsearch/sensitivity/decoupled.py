"""Metric-decoupled probes: each family of layers is judged by the metric that speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from mpsearch.core.errors import BadInput
from mpsearch.sensitivity.each_group import EachGroup

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import Group, ScoreTable
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Rows, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoupled(EachGroup):
    """Probes with a metric for each family of layers (MixDQ, Zhao et al., 2024; ViDiT-Q, 2025).

    *rules* is ``pattern=metric`` after ``pattern=metric``, separated by spaces; the first pattern
    that a group's first layer matches decides, and makes the family. Metrics are those of
    `MetricProbe`. Scores are divided by the family's own total at its worst schemes, so that they
    compare within a family only: an allocation tries several divisions of the budget between the
    families and takes what measures best.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "share of the family's worst"
    rides_along: ClassVar[bool] = False
    needs_outputs: ClassVar[bool] = True
    rules: str = "*attn*=kl *attention*=kl *matmul*=kl *=sqnr"

    def family(self, group: Group) -> str:
        """The rule that *group* falls under, as ``pattern=metric``.

        Raises:
            BadInput: no rule fits, or one is not of that form.
        """
        for rule in self.rules.split():
            pattern, equals, metric = rule.rpartition("=")
            if not (pattern and equals and metric):
                raise BadInput(f"the rule '{rule}' is not pattern=metric, as in *attn*=kl")
            if fnmatchcase(group.layers[0], pattern):
                return rule
        raise BadInput(f"no rule of the decoupled probes fits layer '{group.layers[0]}': end the "
                       "rules with *=kl")

    def collector(self, study: Study, batch: int) -> Collector:  # noqa: ARG002
        """The family's metric of every sample under every scheme.

        Raises:
            BadInput: a rule that cannot be followed.
        """
        from mpsearch.sensitivity import measured
        from mpsearch.sensitivity.named_metrics import metric_of

        metrics = {group.name: metric_of(self.family(group).rpartition("=")[2])
                   for group in study.space.groups}
        return measured.PerSample(
            lambda probe: measured.by_metric(metrics[probe.group.name])(probe))

    def table(self, name: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples, as shares of the family's total at its worst schemes."""
        plain = EachGroup.table(self, name, study, rows)
        families = tuple(self.family(group) for group in study.space.groups)
        worst = {family: sum(max(row) for row, own in zip(plain.values, families, strict=True)
                             if own == family) or 1.0 for family in families}

        def share(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
            return tuple(tuple(value / worst[family] for value in row)
                         for row, family in zip(rows, families, strict=True))

        return replace(plain, families=families, segments=(), samples=(),
                       values=share(plain.values),
                       stderr=share(plain.stderr) if plain.stderr else None)
