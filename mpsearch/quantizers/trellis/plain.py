"""The path of least squared error through a trellis (Viterbi), in torch on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.quantizers.threads import side_by_side
from mpsearch.quantizers.trellis.pairs import Trellis

_ROOM = 1 << 18  # states of sequences that one processor takes at once
_LARGE_ROOM = 1 << 24  # that an accelerator does


def search(x: Tensor, weight: Tensor, trellis: Trellis, start: Tensor | None) -> Tensor:
    """States int64 [S, T] of the best paths for pairs *x*, float32 [S, T, 2].

    *weight* [T, 2] is 0 for numbers that do not matter. *start* [S] gives the bits that the first
    state keeps of the one before it, and that the last state ends with; None leaves both open.
    """
    room = max(1, (_ROOM if x.device.type == "cpu" else _LARGE_ROOM) >> trellis.states)

    def task(at: int) -> Tensor:
        part = slice(at, at + room)
        return _search(x[part], weight, trellis, None if start is None else start[part])

    return torch.cat(side_by_side(task, range(0, len(x), room), x.device))


def _search(x: Tensor, weight: Tensor, trellis: Trellis, start: Tensor | None) -> Tensor:
    count, steps, _ = x.shape
    codewords = torch.from_numpy(trellis.codewords).to(x.device)
    new = [int(trellis.new_bits[t % len(codewords)]) for t in range(steps + 1)]
    total = x.new_zeros(count, 1 << (trellis.states - new[0]))
    if start is not None:
        total.fill_(torch.inf).scatter_(1, start[:, None], 0.0)
    back = []
    for t in range(steps):
        d = x[:, t, None, :] - codewords[t % len(codewords)] * weight[t]
        error = d[..., 0] * d[..., 0] + d[..., 1] * d[..., 1]
        ways = (error.view(count, -1, 1 << new[t]) + total[:, :, None]).view(
            count, 1 << new[t + 1], -1)
        total, dropped = ways.min(1)  # of equal ways the first, as torch promises
        back.append(dropped.to(torch.int16))
    return _traced(back, total.min(1).indices if start is None else start, new, trellis.states)


def _traced(back: list[Tensor], last: Tensor, new: list[int], states: int) -> Tensor:
    path = []
    for t in range(len(back) - 1, -1, -1):
        dropped = back[t].gather(1, last[:, None])[:, 0]
        path.append(dropped.long() << (states - new[t + 1]) | last)
        last = path[-1] >> new[t]
    return torch.stack(path[::-1], dim=1)
