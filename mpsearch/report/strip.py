"""The lower panel: bits of every layer, one column a layer and one row a policy."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpsearch.report.front import BitsRow, LayerBits, Operand
from mpsearch.report.style import GREY, INK, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROOM = 80
"""Columns that still leave room for a number in each cell and a name under each."""
_FEW = 30
_PALE = 0.5
_BLOCK = re.compile(r"(.*?\.[0-9]+)\..*")
_OPERANDS: dict[Operand, str] = {"weight": "weights", "input": "inputs", "other": "second inputs"}
_FLOAT = "not quantized"


def draw_strip(axes: Axes, layers: LayerBits) -> None:
    """Draw the bits of *layers* as coloured cells, more bits darker, with numbers if they fit."""
    columns, rows = len(layers.names), len(layers.rows)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    _draw_cells(axes, layers)
    _name_layers(axes, layers.names)
    one_operand = len({row.operand for row in layers.rows}) == 1
    axes.set_yticks([row + 0.5 for row in range(rows)],
                    [_row_name(row, one_operand=one_operand) for row in layers.rows])
    what = f"Bits of the {_OPERANDS[layers.rows[0].operand]}" if one_operand else "Bits"
    axes.set_title(f"{what} in each layer, in order of execution", loc="left", fontsize=9)
    _draw_key(axes, layers, numbered=columns <= _ROOM)


def shade(bits: int) -> tuple[float, float, float]:
    """Colour of *bits*, the same in every picture: from pale (2) to dark (16)."""
    from matplotlib import colormaps

    position = 0.07 + 0.75 * (min(bits, 8) - 2) / 6 + 0.18 * (max(bits, 8) - 8) / 8
    red, green, blue, _ = colormaps["YlGnBu"](position)
    return red, green, blue


def _draw_cells(axes: Axes, layers: LayerBits) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    cells = [(column, row, bits) for row, line in enumerate(layers.rows)
             for column, bits in enumerate(line.bits)]
    filled = [(column, row, bits) for column, row, bits in cells if bits is not None]
    gap = "white" if len(layers.names) <= _ROOM else "none"
    axes.add_collection(PatchCollection(
        [Rectangle((column, row), 1, 1) for column, row, _ in filled],
        facecolors=[shade(bits) for _, _, bits in filled], edgecolor=gap, linewidth=1.0))
    axes.add_collection(PatchCollection(
        [Rectangle((column, row), 1, 1) for column, row, bits in cells if bits is None],
        facecolor="white", edgecolor="#C8C8C8", hatch="/////", linewidth=0.0))
    if len(layers.names) <= _ROOM:
        for column, row, bits in filled:
            axes.text(column + 0.5, row + 0.52, str(bits), ha="center", va="center", fontsize=7.5,
                      color=_readable(shade(bits)))


def _readable(background: tuple[float, float, float]) -> str:
    red, green, blue = background
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    return INK if luma > _PALE else "white"


def _name_layers(axes: Axes, names: tuple[str, ...]) -> None:
    labels = block_starts(names) if len(names) > _ROOM else list(enumerate(names))
    every = math.ceil(len(labels) / _ROOM)
    axes.set_xticks([column + 0.5 for column, _ in labels[::every]],
                    [short(label, 24) for _, label in labels[::every]],
                    rotation=90, fontsize=6.5 if len(labels) > _FEW else 7.5)


def block_starts(names: Sequence[str]) -> list[tuple[int, str]]:
    """Columns where a new block of layers begins (the name up to its first number), by name."""
    blocks = [_BLOCK.sub(r"\1", name) for name in names]
    return [(column, block) for column, block in enumerate(blocks)
            if column == 0 or blocks[column - 1] != block]


def _row_name(row: BitsRow, *, one_operand: bool) -> str:
    label = short(row.label, 24)
    return label if one_operand else f"{label}, {_OPERANDS[row.operand]}"


def _draw_key(axes: Axes, layers: LayerBits, *, numbered: bool) -> None:
    from matplotlib.patches import Patch

    seen = {bits for row in layers.rows for bits in row.bits}
    bits_seen = [] if numbered else sorted(bits for bits in seen if bits is not None)
    patches = [Patch(facecolor=shade(bits), label=str(bits)) for bits in bits_seen]
    if None in seen:
        patches.append(Patch(facecolor="white", edgecolor=GREY, hatch="/////", linewidth=0.5,
                             label=_FLOAT))
    if patches:
        axes.legend(handles=patches, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(patches),
                    borderaxespad=0.1, handlelength=1.2, handletextpad=0.4, columnspacing=1.0,
                    fontsize=8)
