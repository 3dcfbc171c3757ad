"""Circular paths through a trellis: the states of sequences whose last bits are their first."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mpsearch.core.formats.trellis import PAIR
from mpsearch.core.loops import loops
from mpsearch.quantizers.threads import side_by_side
from mpsearch.quantizers.trellis import plain
from mpsearch.quantizers.trellis.pairs import Trellis

_COMPILED = "mpsearch.quantizers.trellis.compiled"
_WORTH = 1 << 24  # states passed through from which on compiled loops make up for their import


def circular(x: Tensor, trellis: Trellis) -> Tensor:
    """States int64 [S, T] of good circular paths for sequences *x*, float32 [S, 2 T].

    NaN stands for a number that does not matter, in the last sequence only. A first search, free
    at both ends, sees the sequence from its middle on, and around its end to the middle again:
    it says how the ends should join. A second one is bound to that. A sequence that is a path's
    own comes back as that path.

    Source: Tseng et al., QTIP (NeurIPS 2024), algorithm 4.
    """
    known = ~x[-1].isnan()
    if bool(known.all()):
        return _circular(x, torch.ones_like(x[-1]), trellis)
    whole = [_circular(x[:-1], torch.ones_like(x[-1]), trellis)] if len(x) > 1 else []
    return torch.cat([*whole, _circular(x[-1:].nan_to_num(), known.float(), trellis)])


def _circular(x: Tensor, weight: Tensor, trellis: Trellis) -> Tensor:
    pairs, weight = x.view(len(x), -1, PAIR), weight.view(-1, PAIR)
    period = len(trellis.new_bits)
    half = pairs.shape[1] // (2 * period) * period
    turned = _search(pairs.roll(half, 1), weight.roll(half, 0), trellis, None)
    kept = trellis.states - int(trellis.new_bits[0])
    start = turned[:, half - 1] & ((1 << kept) - 1)  # half may be 0: then the last
    return _search(pairs, weight, trellis, start)


def _search(x: Tensor, weight: Tensor, trellis: Trellis, start: Tensor | None) -> Tensor:
    worth = x.numel() // PAIR << trellis.states >= _WORTH
    compiled = loops(plain, _COMPILED, worth=worth) if x.device.type == "cpu" else plain
    if compiled is plain:
        return plain.search(x, weight, trellis, start)
    lanes = compiled.LANES
    start = torch.full((len(x),), -1) if start is None else start
    spare = -len(x) % lanes
    blocks = pad(x, (0, 0, 0, 0, 0, spare)).view(-1, lanes, *x.shape[1:]).permute(0, 2, 3, 1)
    starts = pad(start, (0, spare)).view(-1, lanes)

    def task(block: int) -> Tensor:
        path: Tensor = torch.from_numpy(compiled.search(
            np.ascontiguousarray(blocks[block]), weight.numpy(), tuple(trellis),
            starts[block].numpy()))
        return path.T

    return torch.cat(side_by_side(task, range(len(blocks)), x.device))[: len(x)]
