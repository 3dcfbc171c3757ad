"""Capture a module: its program, layers, shapes and fingerprint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mpsearch.core.errors import BadInput
from mpsearch.core.types import ModelRef
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.weights import Weights
from mpsearch.graph.execute import Program, Shapes, measure_shapes
from mpsearch.graph.fingerprint import fingerprint, other_bytes
from mpsearch.graph.layers import Layers, find_layers
from mpsearch.graph.trace import trace
from mpsearch.packed.contents import Storable, storable
from mpsearch.packed.manifest import Input
from mpsearch.sources.model import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A model as a program with its layers: all that is needed to run a policy on it.

    *inputs* are those of the example it was captured with.
    """

    model: ModelRef
    program: Program
    layers: Layers
    shapes: Shapes
    fake: FakeQuantizer
    other_bytes: int
    inputs: tuple[Input, ...]
    notes: tuple[str, ...]

    def storable(self, module: nn.Module) -> Storable:
        """What of *module*, the one that was captured, goes into a file."""
        return storable(module, self.program, self.layers)

    def macs(self, samples: int) -> float:
        """Multiply-accumulates of one run on so many samples."""
        return float(samples) * sum(spec.macs for spec in self.layers.specs)


def capture(module: nn.Module, args: tuple[Tensor, ...], *, source: str) -> Captured:
    """Capture *module* on the example *args* and find its quantisable layers.

    Raises:
        BadInput: the module does not run on the example, or has no quantisable layer.
        Unsupported: it cannot be captured.
    """
    inputs = tuple(Input(shape=tuple(arg.shape), dtype=str(arg.dtype).removeprefix("torch."))
                   for arg in args)
    # The model stays where its owner put it.
    home = next((parameter.device for parameter in module.parameters()), None)
    args = args if home is None else tuple(arg.to(home) for arg in args)
    traced = trace(module, args)
    shapes = measure_shapes(Program(traced), args)
    layers = find_layers(traced, shapes)
    if not layers.specs:
        raise BadInput(f"{source} has no quantisable layer: no linear, conv, embedding or matmul "
                       "was found in it")
    program = Program(traced, layers.sites, layers.joins)
    notes = traced.notes
    if layers.left_in_float:
        notes = (*notes, f"left in floating point: {', '.join(layers.left_in_float)}")
    return Captured(
        model=ModelRef(source=source, fingerprint=fingerprint(module)), program=program,
        layers=layers, shapes=shapes, other_bytes=other_bytes(module, layers.specs), inputs=inputs,
        notes=notes,
        fake=FakeQuantizer(layers=layers, weights=Weights(program, layers)))


def example_inputs(loaded: LoadedModel) -> tuple[Tensor, ...]:
    """Two blank images of the size the model wants, to capture it without data."""
    return (torch.zeros(2, *loaded.preprocessing.size),)
