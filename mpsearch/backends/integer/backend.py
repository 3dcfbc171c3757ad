"""From a policy to a model whose products run in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.fx import Node

from mpsearch.backends.functions import own_functions, own_softmax
from mpsearch.backends.integer.fusing import Fusing
from mpsearch.backends.integer.rules import in_integers
from mpsearch.backends.integer.runs import Ranges, Runs
from mpsearch.backends.integer.site import IntegerSite, Run
from mpsearch.core.types import Scheme
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.operations import Change


class IntegerModule(nn.Module):
    """A captured model whose layers run in integers, *fused* with what lies between them.

    *decoded* are stored weights that are multiplied in float, after a round trip through their
    format; *skipped* takes out residual branches, by the layers they go by. Takes the model's
    inputs, any batch size, and returns its first floating-point output.
    """

    def __init__(self, fused: Fusing, decoded: Mapping[Node, Tensor],
                 skipped: Mapping[str, Mapping[str, Change]]) -> None:
        super().__init__()
        program, sites = fused.program, list(fused.sites.values())
        self._program = Program(program.traced, sites, program.joins, fused.instead)
        self._decoded = dict(decoded)
        self._runs = tuple(dict.fromkeys(
            call.layer for site in sites
            for call, run in zip(site.calls, site.runs, strict=True) if run))
        self._changes: dict[str, Mapping[str, Change]] = {
            **{layer: {} for layer in self._runs}, **skipped}

    @property
    def in_integers(self) -> tuple[str, ...]:
        """The layers whose products are sums of integers."""
        return self._runs

    def forward(self, *args: Tensor) -> Tensor:
        """The output under the policy."""
        return self._program.run(args, self._changes, stored=self._decoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """Packed weights times activations, and activations times each other, in exact integer sums.

    A layer runs so where both factors are integers of up to 16 bits, or levels that are whole
    numbers of a unit. Where inputs stay in float, so does the layer, on its weight decoded once.
    """

    def __call__(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
                 ranges: Mapping[str, Ranges]) -> IntegerModule:
        """The model under *schemes*.

        Raises:
            Unsupported: inputs in codes that no kernel multiplies, with the layer and the nearest
                format there is one for.
        """
        made = Runs(fake=fake, ranges=ranges)
        sites: dict[Node, IntegerSite] = {}
        decoded: dict[Node, Tensor] = {}
        skipped: dict[str, Mapping[str, Change]] = {}
        for site in program.sites.values():
            runs: list[Run | None] = []
            for call in site.calls:
                own = schemes.get(call.layer, Scheme()).for_kind(call.operation.kind)
                runs.append(made.of(site, call, own) if in_integers(call, own) else None)
                stored = fake.stored(call.layer, own) if runs[-1] is None else None
                if stored is not None:
                    decoded[stored[0]] = stored[1]
                if own.skips:
                    skipped[call.layer] = fake.changes(call.layer, own, {})
            sites[site.node] = IntegerSite(node=site.node, calls=site.calls, runs=tuple(runs),
                                           softmax=own_softmax(site.calls, schemes))
        fused = Fusing(program=program, sites=sites, functions=own_functions(program, schemes),
                       fixed=frozenset(node for node, (layer, _) in program.joins.items()
                                       if layer in skipped))
        fused.all()
        return IntegerModule(fused, decoded, skipped)
