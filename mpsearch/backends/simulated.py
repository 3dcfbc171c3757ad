"""The simulated backend: floating-point arithmetic on numbers that went through their formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.fx import Node

from mpsearch.backends.exact.site import exactly
from mpsearch.backends.whole import require_whole
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.checkpoints import Kept, run_kept
from mpsearch.graph.execute import Program
from mpsearch.graph.operations import Change


class SimulatedModule(nn.Module):
    """A captured model with quantized weights in place and activations quantized on the way.

    Takes the model's inputs, any batch size, and returns its first floating-point output.
    """

    def __init__(self, program: Program, weights: Mapping[str, tuple[str, Tensor]],
                 changes: Mapping[str, Mapping[str, Change]]) -> None:
        super().__init__()
        self._program = program
        self._changes = changes
        nodes = {node.name: node for node in program.parameters}
        self._buffer_of = {}
        for number, (layer, (node, tensor)) in enumerate(weights.items()):
            self.register_buffer(f"weight_{number}", tensor)
            self._buffer_of[f"weight_{number}"] = (layer, nodes[node])

    def forward(self, *args: Tensor) -> Tensor:
        """The output under the policy."""
        return self._program.run(args, self._changes, stored=self._stored())

    def forward_kept(self, args: tuple[Tensor, ...], places: Sequence[int],
                     known: Kept) -> tuple[Tensor, Kept]:
        """The output, and values at *places*; begun at the last place that is *known*."""
        return run_kept(self._program, args, self._changes, self._stored(), places=places,
                        known=known)

    def _stored(self) -> dict[Node, Tensor]:
        return {node: self.get_buffer(name) for name, (_, node) in self._buffer_of.items()}

    def quantized_weights(self) -> dict[str, Tensor]:
        """The dequantized weight of every quantized layer, as the model stores it."""
        return {layer: self.get_buffer(name) for name, (layer, _) in self._buffer_of.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Fake quantization: ``decode(encode(x))`` wherever a scheme names a format.

    What a scheme takes out of a residual branch is zero: the network computes what a narrower or
    shallower one would.

    *exact*: products of integers are summed exactly and rounded where integer kernels round them
    (see `mpsearch.backends.exact`), in place of floating-point sums. Slow, and what those kernels
    must equal.
    """

    exact: bool = False

    def __call__(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
                 ranges: Mapping[str, Mapping[str, StaticRange]]) -> SimulatedModule:
        """The model under *schemes*; a layer left in float is not touched.

        Raises:
            BadInput: a layer that the model does not have.
            Unsupported: *exact* sums in a network that is not whole.
        """
        if self.exact:
            require_whole(schemes, "exact simulation")
        weights: dict[str, tuple[str, Tensor]] = {}
        changes: dict[str, dict[str, Change]] = {}
        for layer, scheme in schemes.items():
            own = scheme.for_kind(fake.layers.call(layer).operation.kind)
            stored = fake.stored(layer, own)
            if stored is not None:
                node, tensor = stored
                weights[layer] = (node.name, tensor)
            made = fake.changes(layer, own, ranges.get(layer, {}), with_weight=False)
            if made:
                changes[layer] = made
        if self.exact:
            program = exactly(program, fake, schemes, ranges)
        return SimulatedModule(program, weights, changes)
