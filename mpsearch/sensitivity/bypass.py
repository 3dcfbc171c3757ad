"""Run a network without one group of layers, and tell how noisy its schemes make it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mpsearch import metrics
from mpsearch.core.types import LayerSpec
from mpsearch.graph.execute import Env
from mpsearch.graph.operations import Change
from mpsearch.graph.samples import per_sample
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.probe import Probe
from mpsearch.sensitivity.study import Study


def relevant_noise(probe: Probe) -> list[Tensor]:
    """What the network loses without the group, times the noise of each scheme: [samples] each."""
    study, group = probe.study, probe.group
    samples = len(probe.reference)
    variant = {layer: bypass(study, study.space.layer(layer)) for layer in group.layers}
    output = probe.stack.outputs(probe.env, study.first(group), samples, [variant])[0]
    relevance = metrics.kl(probe.reference, output[:samples])
    return [relevance * row for row in _noise(probe, samples)]


def bypass(study: Study, layer: LayerSpec) -> dict[str, Change]:
    """What takes *layer* out: the identity where shapes allow it, else nothing comes through."""
    if layer.weight is None:
        return {"input": torch.zeros_like}
    rows = study.fake.weights.rows(layer.name)
    identity = _identity(rows, layer)
    return {"weight": lambda _: identity}


def _identity(rows: Tensor, layer: LayerSpec) -> Tensor:
    """The weight that passes every channel on, zeros if there are not as many as go in."""
    made = torch.zeros_like(rows)
    channels = len(rows)
    if layer.kind == "linear":
        same = rows.shape[1:] == (channels,)
    else:
        same = layer.kind == "conv" and layer.input_shape[1:2] == (channels,)
    if same:
        out = torch.arange(channels, device=rows.device)
        place: tuple[Any, ...] = (out, out % rows.shape[1],
                                  *(size // 2 for size in rows.shape[2:]))
        made[place] = 1
    return made


def _noise(probe: Probe, samples: int) -> list[Tensor]:
    """Noise over signal of the group's outputs, a row for each scheme: [samples]."""
    study, group = probe.study, probe.group
    found = [torch.zeros(samples, dtype=torch.float64) for _ in group.schemes]
    env, place = dict(probe.env), study.first(group)

    def watch(site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor,
              _env: Env) -> Tensor:
        axis = study.shapes.sample_axes.get(site.node)
        held = (study.program.traced.batch if axis else None) or samples
        power = per_sample(output.double().square(), axis, held)[:samples].clamp(min=1e-30)
        for layer in set(site.layers) & set(group.layers):
            for k, scheme in enumerate(group.schemes):
                made = study.layer_changes(layer, scheme)
                if made:
                    changed = site.run(args, kwargs, {layer: made}, study.program.parameters)
                    dz = (changed - output).masked_fill(changed == output, 0).double()
                    found[k] += (per_sample(dz.square(), axis, held)[:samples] / power).cpu()
        return output

    last = max(study.program.position[site.node] for site in study.sites(group))
    study.program.advance(env, place, last + 1, watch=watch)
    return found
