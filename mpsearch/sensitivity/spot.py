"""One site in one part of a batch: its output moved, its output changed, row by row.

Tensors of the output's shape are turned to rows, one a sample, whatever dimension the samples lie
in; an output that all samples share is one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mpsearch.core.types import Group
from mpsearch.graph.execute import Env
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.study import Study


class TailEstimator(Protocol):
    """Where to move an output to, and what weighs its squared change from the two gradients."""

    unit: ClassVar[str]

    def move(self, uniforms: Tensor, scale: Tensor) -> Tensor:
        """How far from the output, of *uniforms*' shape; *scale* has its root mean squares."""
        ...

    def diagonal(self, move: Tensor, change: Tensor) -> Tensor:
        """The weight of a squared change of each element."""
        ...

    def loss(self, reference: Tensor, output: Tensor) -> Tensor:
        """What is differentiated: a sum over samples."""
        ...


class Spot:
    """Runs *site*, at which *env* has arrived, and leaves its output there.

    *reference* is the model's output for these samples.
    """

    def __init__(self, study: Study, site: Site, env: Env, reference: Tensor) -> None:
        self.study, self.site, self.reference = study, site, reference
        program = study.program
        self.place = program.position[site.node] + 1
        self.axis = study.shapes.sample_axes.get(site.node)
        self.samples = len(reference)
        seen: list[tuple[tuple[Any, ...], Mapping[str, Any], Tensor]] = []

        def see(_site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor,
                _env: Env) -> Tensor:
            seen.append((args, kwargs, output))
            return output

        program.advance(env, self.place - 1, self.place, watch=see)
        self.args, self.kwargs, self.output = seen[0]
        self.env = dict(env)

    def curvature(self, estimator: TailEstimator, uniforms: Tensor) -> Tensor:
        """What weighs the squared change of each element, in rows."""
        rows = self._rows(self.output.double())
        # A graph of fixed batch size has the last sample again for those that are not there.
        drawn = uniforms[torch.arange(len(rows)).clamp(max=len(uniforms) - 1)].to(rows.device)
        scale = rows.masked_fill(~rows.isfinite(), 0).square().mean(1, keepdim=True).sqrt()
        move = estimator.move(drawn, scale.masked_fill(scale == 0, 1))
        ahead, behind = (self._gradient(estimator, sign * self._laid_out(move)) for sign in (1, -1))
        return estimator.diagonal(move, ahead - behind)

    def squares(self, group: Group) -> Iterator[tuple[int, Tensor]]:
        """Squared changes of the output, in rows, for each layer of *group* and each scheme."""
        for layer in self.site.layers:
            if layer not in group.layers:
                continue
            for k, scheme in enumerate(group.schemes):
                made = self.study.layer_changes(layer, scheme)
                if made:  # else it changes nothing here
                    changed = self.site.run(self.args, self.kwargs, {layer: made},
                                            self.study.program.parameters)
                    # Where a mask has put minus infinity, it stays.
                    dz = (changed - self.output).masked_fill(changed == self.output, 0)
                    yield k, self._rows(dz.double().square())

    def shared(self, sums: Tensor) -> Tensor:
        """The sum of each row as that of each sample: what all share is shared out evenly."""
        if self.axis is None:
            return (sums / self.samples).expand(self.samples).cpu()
        return sums[:self.samples].cpu()

    @torch.enable_grad()
    def _gradient(self, estimator: TailEstimator, move: Tensor) -> Tensor:
        leaf = (self.output + move.to(self.output.dtype)).detach().requires_grad_()
        output = self.study.program.finish({**self.env, self.site.node: leaf}, self.place)
        loss = estimator.loss(self.reference, output[:self.samples])
        if not loss.requires_grad:  # the output does not depend on it
            return self._rows(torch.zeros_like(leaf, dtype=torch.float64))
        return self._rows(torch.autograd.grad(loss, leaf)[0].double())

    def _rows(self, values: Tensor) -> Tensor:
        if self.axis is None:
            return values.reshape(1, -1)
        return self.axis.split(values, self.study.program.traced.batch or self.samples)

    def _laid_out(self, rows: Tensor) -> Tensor:
        """*rows* in the form of the output."""
        places = torch.arange(rows.numel(), device=rows.device).reshape(self.output.shape)
        flat = torch.empty_like(rows).reshape(-1)
        flat[self._rows(places).reshape(-1)] = rows.reshape(-1)
        return flat.reshape(self.output.shape)
