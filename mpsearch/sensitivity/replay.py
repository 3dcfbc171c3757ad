"""The shared pass: one forward and one backward a batch, every scheme of every layer replayed.

As the backward pass reaches a layer, the layer is run again on its kept input under each scheme;
estimators see the output gradient ``g``, the output change ``dz`` and what else they ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mpsearch import metrics
from mpsearch.core.types import Group, ScoreTable
from mpsearch.graph.finite import require_finite
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.relevance.rules import Rules
from mpsearch.sensitivity.replayed import Replayed, Seen
from mpsearch.sensitivity.reverse import Passing, Reverse
from mpsearch.sensitivity.segments import plan
from mpsearch.sensitivity.study import Rows, Study, joined
from mpsearch.sensitivity.tokens import token_weights
from mpsearch.sensitivity.units import by_batch, sample_table, sample_units
from mpsearch.sources.batch import Batch


class ReplayEstimator(Protocol):
    """A functional of the replayed outputs. Layers of a group add up before `finish`.

    *draws* is over how many sampled labels it wants the mean squared gradient (0 for none);
    *rules* how relevance is to be propagated for it, None if it does not look at it.
    """

    engine: ClassVar[str]
    unit: ClassVar[str]
    rides_along: ClassVar[bool]
    draws: int
    rules: Any

    def score(self, replayed: Replayed) -> Tensor:
        """What one layer contributes, a sample: shape [samples]."""
        ...

    def finish(self, contributions: Tensor) -> Tensor:
        """Score of each sample from its group's summed contributions."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayEngine:
    """The shared forward and backward pass."""

    def units(self, study: Study, estimator: ReplayEstimator) -> list[str]:  # noqa: ARG002
        """One a batch and group."""
        return sample_units(study)

    def work(self, study: Study, estimators: Mapping[str, ReplayEstimator], todo: Todo,
             note: Note) -> None:
        """Score what is missing with all *estimators*, one pass over each batch."""
        # Estimators that propagate relevance by different rules cannot share a pass.
        for names in _sharing(estimators):
            chosen = {name: estimators[name] for name in names}
            for number, wanted in by_batch(study, todo, names):
                _batch(study, chosen, number, wanted, note)

    def table(self, name: str, estimator: ReplayEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples."""
        return sample_table(name, estimator.unit, study, rows)


def _sharing(estimators: Mapping[str, ReplayEstimator]) -> list[list[str]]:
    passes: dict[Any, list[str]] = {}
    for name, estimator in estimators.items():
        if estimator.rules is not None:
            passes.setdefault(estimator.rules, []).append(name)
    plain = [name for name, estimator in estimators.items() if estimator.rules is None]
    found = list(passes.values())
    return [[*plain, *found[0]], *found[1:]] if found else [plain]


def _batch(study: Study, estimators: Mapping[str, ReplayEstimator], number: int,
           wanted: Mapping[str, list[str]], note: Note) -> None:
    """One batch, in as many parts as memory asks for; a unit is noted with its last part."""
    batch = study.batches[number]
    for group in wanted:
        study.prepare(study.groups[group])
    planned = plan(study.program, study.shapes, batch.size, study.memory)
    draws = tuple(sorted({each.draws for each in estimators.values()} - {0}))
    rules: Rules | None = next((each.rules for each in estimators.values() if each.rules), None)
    reverse = Reverse(program=study.program, cuts=planned.cuts, draws=draws, rules=rules)
    labels = Labels(study, number, max(draws, default=1))
    parts: dict[tuple[str, str], list[Rows]] = {}
    starts = range(0, batch.size, planned.samples)

    def finished(name: str, group: str, rows: Rows) -> None:
        known = parts.setdefault((name, group), [])
        known.append(rows)
        if len(known) == len(starts):
            note(name, f"{number}/{group}", joined(parts.pop((name, group))))

    for first in starts:
        part = batch.rows(slice(first, first + planned.samples))
        visitor = _Visitor(study, estimators, part, wanted, finished)
        reverse.run(part.args, partial(labels, first=first, samples=part.size), visitor)
        visitor.close()


class Labels:
    """Gradients at the output for labels drawn from the model itself."""

    def __init__(self, study: Study, number: int, draws: int) -> None:
        self.study, self.number, self.draws = study, number, draws
        self._drawn: Tensor | None = None

    def __call__(self, output: Tensor, first: int, samples: int) -> list[Tensor]:
        """One gradient a draw, for so many samples of the batch from the *first* on."""
        study = self.study
        require_finite(study.program, study.batches[self.number].args, output)
        real = output[:samples]
        count = metrics.positions(real)
        if self._drawn is None:
            self._drawn = study.uniforms(self.number, count * self.draws)
        drawn = self._drawn[first:first + samples].reshape(samples, self.draws, count)
        made = []
        for draw in range(self.draws):
            gradient = torch.zeros_like(output)
            gradient[:samples] = metrics.sampled_gradient(real, drawn[:, draw])
            made.append(gradient)
        return made


class _Visitor:
    """Replays the wanted groups of one part of a batch as their sites are reached."""

    def __init__(self, study: Study, estimators: Mapping[str, ReplayEstimator], batch: Batch,
                 wanted: Mapping[str, list[str]], finished: Note) -> None:
        self.study, self.estimators, self.batch, self.wanted = study, estimators, batch, wanted
        self.finished = finished
        self.group_of = {layer: study.groups[name] for name in wanted
                         for layer in study.groups[name].layers}
        # A layer may run several times; its group is finished after the last run.
        self.waiting = {name: sum(len(set(site.layers) & set(study.groups[name].layers))
                                  for site in study.sites(study.groups[name]))
                        for name in wanted}
        nothing = torch.zeros(batch.size, dtype=torch.float64)
        self.sums = {group: {name: [nothing] * len(study.groups[group].schemes)
                             for name in names} for group, names in wanted.items()}

    def wants(self, site: Site) -> bool:
        """Whether a layer of a wanted group runs there."""
        return any(layer in self.group_of for layer in site.layers)

    def visit(self, passing: Passing, g: Tensor) -> None:
        """Replay every layer of the site under every scheme of its group."""
        axis = self.study.shapes.sample_axes.get(passing.site.node)
        samples = (self.study.program.traced.batch if axis else None) or self.batch.size
        seen = Seen(z=passing.output.float(), g=g.float(), squares=passing.squares, axis=axis,
                    relevance=passing.relevance, samples=samples,
                    tokens=token_weights(self.batch.tokens, g, axis, samples))
        masked = not bool(passing.output.isfinite().all())
        for layer in passing.site.layers:
            group = self.group_of.get(layer)
            if group is None:
                continue
            for k, scheme in enumerate(group.schemes):
                made = self.study.layer_changes(layer, scheme)
                if made:  # else it changes nothing here
                    changed = passing.site.run(passing.args, passing.kwargs, {layer: made},
                                               self.study.program.parameters)
                    dz = changed - passing.output
                    if masked:  # where a mask has put minus infinity, it stays
                        dz.masked_fill_(changed == passing.output, 0)
                    self._add(group, k, Replayed(seen=seen, dz=dz.float()))
            self.waiting[group.name] -= 1
            if not self.waiting[group.name]:
                self._finish(group.name)

    def _add(self, group: Group, k: int, replayed: Replayed) -> None:
        for name, rows in self.sums[group.name].items():
            value = self.estimators[name].score(replayed)[: self.batch.size].double().cpu()
            rows[k] = rows[k] + value

    def _finish(self, group: str) -> None:
        for name, rows in self.sums.pop(group).items():
            self.finished(name, group, [self.estimators[name].finish(row).tolist()
                                        for row in rows])

    def close(self) -> None:
        """Finish the groups that the output does not depend on."""
        for group in list(self.sums):
            self._finish(group)
