"""Several variants of one batch run on to the output together, as if they were more samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mpsearch.graph.execute import BRANCH, Env
from mpsearch.graph.operations import Change
from mpsearch.sensitivity.study import Study

_SAMPLES = 256  # a batch this large leaves nothing to gain
_CLOSE = 1e-3

Variant = Mapping[str, Mapping[str, Change]]
"""What is done to the layers of one group."""


@dataclass(slots=True)
class Stack:
    """Runs variants from one place of a program on, together where the graph allows it.

    The first stack is checked against separate runs; if they differ, the model mixes its samples,
    and everything runs separately.
    """

    study: Study
    trusted: bool | None = None

    @torch.no_grad()
    def outputs(self, env: Env, place: int, samples: int,
                variants: Sequence[Variant]) -> list[Tensor]:
        """The output under each of *variants*, from *place* on, where they all begin."""
        program = self.study.program
        many = max(1, _SAMPLES // samples)
        if self.trusted is False or many == 1 or not self._joint(env, place, variants):
            return [program.finish(dict(env), place, variant) for variant in variants]
        found: list[Tensor] = []
        for first in range(0, len(variants), many):
            found += self._together(env, place, samples, variants[first:first + many])
        if self.trusted is None and variants:
            self.trusted = _close(found[-1], program.finish(dict(env), place, variants[-1]))
            if not self.trusted:
                return self.outputs(env, place, samples, variants)
        return found

    def _joint(self, env: Env, place: int, variants: Sequence[Variant]) -> bool:
        """Whether the variants differ at *place* only, and what follows takes any batch size."""
        if any(isinstance(value, tuple | list) for value in env.values()):
            return False
        if any(BRANCH in changes for variant in variants for changes in variant.values()):
            return False
        program, shapes = self.study.program, self.study.shapes
        layers = {layer for variant in variants for layer in variant}
        sites = [site for site in program.sites.values() if layers.intersection(site.layers)]
        return (program.traced.batch is None and len(sites) == 1
                and program.position[sites[0].node] == place
                and shapes.sample_axes.get(sites[0].node) is not None)

    def _together(self, env: Env, place: int, samples: int,
                  variants: Sequence[Variant]) -> list[Tensor]:
        program, shapes = self.study.program, self.study.shapes
        node = program.nodes[place]
        outputs = []
        for variant in variants:
            here = dict(env)
            program.advance(here, place, place + 1, variant)
            outputs.append(here[node])
        axis = shapes.sample_axes[node]
        assert axis is not None  # noqa: S101 - checked before
        here = {key: self._more(key, value, samples, len(variants))
                for key, value in here.items() if key is not node}
        here[node] = axis.joined(outputs, samples)
        return list(program.finish(here, place + 1).chunk(len(variants)))

    def _more(self, node: Any, value: Any, samples: int, copies: int) -> Any:
        shapes = self.study.shapes
        if isinstance(value, Tensor):
            axis = shapes.sample_axes.get(node)
            if node.op == "placeholder":
                return value.repeat(copies, *[1] * (value.dim() - 1)) if (
                    value.dim() and value.shape[0] == samples) else value
            return value if axis is None else axis.times(value, samples, copies)
        if isinstance(value, int) and node in shapes.counts:
            base, more = shapes.counts[node]
            return base + (more - base) * (samples * copies - shapes.batch)
        return value


def _close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= _CLOSE * b.abs().max().clamp(min=1e-30))
