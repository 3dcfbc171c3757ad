"""BOPs: multiply-accumulates weighed by the widths of both operands."""

from __future__ import annotations

from mpsearch.core.formats import Format
from mpsearch.core.narrowed import narrowed
from mpsearch.core.types import LayerSpec, Scheme, ScoreTable, SearchSpace


def bops(space: SearchSpace) -> ScoreTable:
    """Bit operations of each group for one sample, under each of its schemes.

    A linear or convolution costs ``MACs * weight bits * input bits``, a matmul
    ``MACs * input bits * other bits``, summed over the layers of the group; an operand in float
    counts its `float_bits`, and a format that is decoded before it is multiplied what it is decoded
    to. An embedding looks up and multiplies nothing, and neither does what a scheme takes out of
    its branch.

    Source: the BOP count of van Baalen et al., "Bayesian Bits: Unifying Quantization and Pruning"
    (NeurIPS 2020, arXiv:2005.07093), used as a constraint of the integer program by Yao et al.,
    "HAWQ-V3: Dyadic Neural Network Quantization" (ICML 2021, arXiv:2011.10680).
    """
    layers = {layer.name: layer for layer in space.layers}
    return ScoreTable(
        metric="bops",
        unit="BOPs",
        groups=tuple(group.name for group in space.groups),
        values=tuple(
            tuple(float(sum(bit_operations(layers[name], scheme) for name in group.layers))
                  for scheme in group.schemes)
            for group in space.groups),
    )


def bit_operations(layer: LayerSpec, scheme: Scheme) -> float:
    """Bit operations of one *layer* for one sample under *scheme*."""
    if layer.kind == "embedding" or scheme.skips:
        return 0
    factor = scheme.other if layer.kind == "matmul" else scheme.weight
    return narrowed(layer, scheme).macs * _bits(scheme.input, layer) * _bits(factor, layer)


def _bits(fmt: Format | None, layer: LayerSpec) -> float:
    return layer.float_bits if fmt is None else fmt.arithmetic_bits
