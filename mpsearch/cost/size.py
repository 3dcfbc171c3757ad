"""Size: the bits that the weights take on disk."""

from __future__ import annotations

from mpsearch.core.narrowed import narrowed
from mpsearch.core.types import LayerSpec, Scheme, ScoreTable, SearchSpace, unique_weights


def size(space: SearchSpace) -> ScoreTable:
    """Stored bits of each group's weights under each of its schemes.

    Codes, scales, zero points and padding as `Format.stored_bits` counts them, and `float_bits` an
    element where the weight stays in float. A weight that several layers share counts once; a
    matmul has none. Of a narrowed branch the rest counts, of a skipped one nothing. Biases and
    everything else the model stores are the same for every scheme and not counted.
    """
    owners = {layer.name: layer for layer in unique_weights(space.layers)}
    return ScoreTable(
        metric="size",
        unit="bits",
        groups=tuple(group.name for group in space.groups),
        values=tuple(
            tuple(float(sum(stored_bits(owners[name], scheme)
                            for name in group.layers if name in owners))
                  for scheme in group.schemes)
            for group in space.groups),
    )


def stored_bits(layer: LayerSpec, scheme: Scheme) -> int:
    """Bits that the weight of *layer* takes on disk under *scheme*, 0 where there is none."""
    if layer.weight_shape is None or scheme.skips:
        return 0
    left = narrowed(layer, scheme)
    if scheme.weight is None or left.weight_shape is None:
        return left.weights * layer.float_bits
    return scheme.weight.stored_bits(left.weight_shape)
