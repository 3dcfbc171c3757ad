"""What of a layer is left when units of its residual branch are taken out."""

from __future__ import annotations

from dataclasses import replace

from mpsearch.core.flow import Piece
from mpsearch.core.types import LayerSpec, Scheme


def narrowed(layer: LayerSpec, scheme: Scheme) -> LayerSpec:
    """*layer* with the shapes and MACs that *scheme* leaves it; not for a skipped one."""
    keep = scheme.keep
    if keep is None or not layer.narrows:
        return layer

    def part(size: int) -> int:
        return size * keep.count // keep.units

    macs = part(layer.macs)
    if layer.narrows == "heads":
        shapes = [(*shape[:-3], part(shape[-3]), *shape[-2:]) if shape else shape
                  for shape in (layer.input_shape, layer.other_shape or (), layer.output_shape)]
        return replace(layer, macs=macs, input_shape=shapes[0], other_shape=shapes[1],
                       output_shape=shapes[2])
    rows, columns = layer.weight_shape or (0, 0)
    if layer.narrows == "rows":
        return replace(layer, macs=macs, weight_shape=(part(rows), columns),
                       output_shape=(*layer.output_shape[:-1], part(rows)))
    return replace(layer, macs=macs, weight_shape=(rows, part(columns)),
                   input_shape=(*layer.input_shape[:-1], part(columns)))


def narrowed_piece(piece: Piece, layer: LayerSpec, scheme: Scheme) -> Piece:
    """The work of *piece*, a run of *layer*, that *scheme* leaves; its shape names the whole."""
    keep = scheme.keep
    if keep is None or not layer.narrows:
        return piece

    def part(size: int) -> int:
        return size * keep.count // keep.units

    def if_not(narrows: str, size: int) -> int:
        return size if layer.narrows == narrows else part(size)

    return replace(piece, macs=part(piece.macs), weights=part(piece.weights),
                   inputs=if_not("rows", piece.inputs), others=if_not("rows", piece.others),
                   outputs=if_not("columns", piece.outputs))
