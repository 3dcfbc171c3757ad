"""Energy: picojoules of every multiply-accumulate and every byte that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpsearch.core.errors import BadInput
from mpsearch.core.flow import Flow, Piece, own_scheme
from mpsearch.core.formats import Format
from mpsearch.core.narrowed import narrowed_piece
from mpsearch.core.types import LayerSpec, Scheme, ScoreTable, SearchSpace
from mpsearch.cost.size import stored_bits

PICOJOULES = 1e9
"""Of them in a millijoule: costs are whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """Picojoules of one process: of a multiply-accumulate by the width of its integer operands.

    An operation takes the narrowest width of *macs* that holds both operands, and *float_mac* where
    one of them is in float. *weight_byte* is a byte of weights from where they are kept,
    *activation_byte* one of activations.

    Raises:
        BadInput: a number that is not positive, or no widths.
    """

    name: str
    source: str
    macs: dict[str, float]
    float_mac: float
    weight_byte: float
    activation_byte: float

    def __post_init__(self) -> None:
        numbers = (*self.macs.values(), self.float_mac, self.weight_byte, self.activation_byte)
        if not self.macs or not all(number > 0 for number in numbers):
            raise BadInput(f"the energy table '{self.name}' needs positive picojoules for "
                           "multiply-accumulates and bytes")

    def mac(self, bits: float | None) -> float:
        """Picojoules of a multiply-accumulate of such operands; None is float."""
        fitting = [(int(width), cost) for width, cost in self.macs.items()
                   if bits is not None and bits <= int(width)]
        return min(fitting)[1] if fitting else self.float_mac


HOROWITZ_45NM = EnergyTable(
    name="45 nm (Horowitz)",
    source="M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014: "
           "rough energies at 45 nm and 0.9 V; multiply and add of 8 bits 0.2 and 0.03, of 32 bits "
           "3.1 and 0.1, of float32 3.7 and 0.9 pJ, sums here in 32 bits; 64 bits from 8 KB of "
           "cache 10 pJ, from 1 MB 100 pJ (here), from DRAM 1.3 to 2.6 nJ (here the lower)",
    macs={"8": 0.2 + 0.1, "32": 3.1 + 0.1}, float_mac=3.7 + 0.9, weight_byte=1300 / 8,
    activation_byte=100 / 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Whole picojoules for one sample: of each scheme of each group, and of everything else."""

    table: ScoreTable
    fixed: int

    def total(self, choice: Sequence[int]) -> float:
        """Millijoules of a policy, in the unit and to the bit as a budget on it counts."""
        return self.table.total(choice) / PICOJOULES + self.fixed / PICOJOULES


def energy(space: SearchSpace, flow: Flow, rates: EnergyTable = HOROWITZ_45NM) -> Energy:
    """Picojoules of one sample, additive over what the graph runs.

    A layer pays for its multiply-accumulates at the width that its operands share, for its stored
    weights once a call, for its inputs at their width and for its outputs in float. Operations
    without weights pay for the bytes they read and write; views pay nothing. Fused attention is
    charged as its two products. Layers that are skipped or narrowed pay for what is left of them;
    what lies between them pays as if the branch were whole.
    """
    specs = {layer.name: layer for layer in space.layers}
    home = {name: group for group in space.groups for name in group.layers}
    costs = {group.name: [0] * len(group.schemes) for group in space.groups}
    fixed, width = 0, max((layer.float_bits for layer in space.layers), default=32)
    for step in flow.steps:
        for piece in step.opened or step.pieces:
            group = home.get(piece.layer)
            if group is None:
                fixed += _moved(piece, width, rates)
                continue
            spec = specs[piece.layer]
            for number, scheme in enumerate(group.schemes):
                costs[group.name][number] += layer_energy(
                    piece, spec, own_scheme(spec, scheme), rates)
    return Energy(fixed=fixed, table=ScoreTable(
        metric="energy", unit="pJ", groups=tuple(costs),
        values=tuple(tuple(map(float, row)) for row in costs.values())))


def layer_energy(piece: Piece, layer: LayerSpec, scheme: Scheme, rates: EnergyTable) -> int:
    """Whole picojoules of one call of *layer* for one sample under *scheme*."""
    if scheme.skips:
        return 0
    piece = narrowed_piece(piece, layer, scheme)
    factor = scheme.other if layer.kind == "matmul" else scheme.weight
    both = (scheme.input, factor)
    bits = None if None in both else max(fmt.arithmetic_bits for fmt in both if fmt)
    taken = ((piece.inputs - piece.others) * _bits(scheme.input, layer)
             + piece.others * _bits(scheme.other, layer) + piece.outputs * layer.float_bits)
    weights = stored_bits(layer, scheme)
    if layer.kind == "embedding" and layer.weights:  # only the rows that are looked up
        weights = round(weights / layer.weights * piece.outputs)
    return round(piece.macs * rates.mac(bits) + weights / 8 * rates.weight_byte
                 + taken / 8 * rates.activation_byte)


def _moved(piece: Piece, width: int, rates: EnergyTable) -> int:
    if piece.kind == "view":
        return 0
    return round((piece.inputs + piece.outputs) * width / 8 * rates.activation_byte)


def _bits(fmt: Format | None, layer: LayerSpec) -> float:
    return layer.float_bits if fmt is None else fmt.code_bits
