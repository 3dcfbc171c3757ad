"""Perturb the output of one layer after another, and differentiate the rest of the graph there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.types import Group, ScoreTable
from mpsearch.graph.finite import require_finite
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.engine import Note, Todo
from mpsearch.sensitivity.losses import floored, parts
from mpsearch.sensitivity.spot import Spot, TailEstimator
from mpsearch.sensitivity.study import Rows, Study
from mpsearch.sensitivity.units import by_batch, sample_table, sample_units

_COPIES = 3  # tensors of a forward pass's size: activations, gradients, what is made on the way


@dataclass(frozen=True, slots=True)
class TailEngine:
    """For each batch and site two runs of the rest of the graph, forward and backward."""

    def units(self, study: Study, estimator: TailEstimator) -> list[str]:  # noqa: ARG002
        """One a batch and group."""
        return sample_units(study)

    def work(self, study: Study, estimators: Mapping[str, TailEstimator], todo: Todo,
             note: Note) -> None:
        """Go through each batch once, stopping at the missing groups."""
        for number, wanted in by_batch(study, todo, list(estimators)):
            runner = _Runner(study, number)
            for group, names in wanted.items():
                chosen = {name: estimators[name] for name in names}
                for name, rows in runner.score(study.groups[group], chosen).items():
                    note(name, f"{number}/{group}", rows)

    def table(self, name: str, estimator: TailEstimator, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples, not below zero."""
        return floored(sample_table(name, estimator.unit, study, rows))


class _Runner:
    """Holds the float activations of one batch at the group that is scored, in parts."""

    def __init__(self, study: Study, number: int) -> None:
        self.study, self.number = study, number
        self.batch = study.batches[number]
        self.parts = parts(study, self.batch.size, _COPIES)
        program, self.place = study.program, 0
        with torch.no_grad():
            pieces = [self.batch.rows(part) for part in self.parts]
            self.references = [program.run(piece.args) for piece in pieces]
            for piece, reference in zip(pieces, self.references, strict=True):
                require_finite(program, piece.args, reference)
            self.kept = [program.start(piece.args) for piece in pieces]

    @torch.no_grad()
    def score(self, group: Group, estimators: Mapping[str, TailEstimator]) -> dict[str, Rows]:
        """``½ Σ H·dz²`` of each sample for every scheme of *group*."""
        study, program, first = self.study, self.study.program, self.study.first(group)
        for env in self.kept:
            program.advance(env, self.place, first)
        self.place = place = first
        study.prepare(group)
        total = {name: torch.zeros(len(group.schemes), self.batch.size, dtype=torch.float64)
                 for name in estimators}
        ahead = [dict(env) for env in self.kept]
        for turn, site in enumerate(study.sites(group)):
            stop = program.position[site.node]
            uniforms = self._uniforms(site, turn)
            for env, reference, part in zip(ahead, self.references, self.parts, strict=True):
                program.advance(env, place, stop)
                spot = Spot(study, site, env, reference)
                drawn = uniforms[part] if len(uniforms) > 1 else uniforms
                weights = {name: spot.curvature(estimator, drawn)
                           for name, estimator in estimators.items()}
                for k, squares in spot.squares(group):
                    for name, weight in weights.items():
                        total[name][k, part] += spot.shared((weight * squares).sum(1) / 2)
            place = stop + 1
        return {name: rows.tolist() for name, rows in total.items()}

    def _uniforms(self, site: Site, turn: int) -> Tensor:
        """Numbers for every element of the site's output: a row a sample, or one for all."""
        label = f"tail/{turn}/{'/'.join(site.layers)}".encode()
        stream = int.from_bytes(hashlib.sha256(label).digest()[:4], "big")
        count = torch.Size(self.study.shapes.one(site.node)).numel()
        if self.study.shapes.sample_axes.get(site.node) is None:  # the same for all batches
            return self.study.only(0, slice(0, 1)).uniforms(0, count, stream)
        return self.study.uniforms(self.number, count, stream)
