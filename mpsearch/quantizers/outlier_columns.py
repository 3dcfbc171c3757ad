"""Which columns of a weight lose the most as integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.split import OutlierSplitFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.uniform import Uniform

_INTEGERS = Uniform()
_POWERS = (2, 4)
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A weight [rows, length] without some *columns* (rising), and the scales of the others.

    *errors* float64 [length] are the squared errors of all columns at these scales.
    """

    columns: Tensor
    rest: Params
    errors: Tensor

    @property
    def loss(self) -> float:
        """The squared error of the columns that are integers."""
        return float(self.errors[others(self.columns, len(self.errors))].sum())


def split(x: Tensor, formats: Sequence[OutlierSplitFormat]) -> list[Split]:
    """The columns of *x* [rows, length] to leave out, and the scales of the others.

    At first the columns of the largest sums of squares are, or those of fourth powers, whichever
    leaves less error. Then, in turns while the error falls, the columns that lose the most at the
    scales of the others, to which scales are then fitted anew. What a column loses at scales that
    were fitted to it as well says little: a scale that reaches for it spares it, at the cost of
    the others.
    """
    best = _best_powers(x, formats)
    open_ones = list(range(len(formats)))
    for _ in range(_ROUNDS):
        other = {i: _largest(best[i].errors, formats[i]) for i in open_ones}
        open_ones = [i for i in open_ones if not torch.equal(other[i], best[i].columns)]
        found = _fitted(x, [formats[i] for i in open_ones], [other[i] for i in open_ones])
        better = {i: each for i, each in zip(open_ones, found, strict=True)
                  if each.loss < best[i].loss}
        best = [better.get(i, each) for i, each in enumerate(best)]
        open_ones = list(better)
    return best


def _best_powers(x: Tensor, formats: Sequence[OutlierSplitFormat]) -> list[Split]:
    sums = [x.double().pow(power).sum(0) for power in _POWERS]
    tried = [_fitted(x, formats, [_largest(each, fmt) for fmt in formats]) for each in sums]
    return [min(own, key=lambda each: each.loss) for own in zip(*tried, strict=True)]


def others(columns: Tensor, length: int) -> Tensor:
    """Of so many columns, the indices of those that are not among *columns*."""
    mask = torch.ones(length, dtype=torch.bool, device=columns.device)
    mask[columns] = False
    return mask.nonzero().flatten()


def _largest(measure: Tensor, fmt: OutlierSplitFormat) -> Tensor:
    """The columns of the largest *measure* in rising order; the first of equal ones."""
    order = measure.argsort(descending=True, stable=True)
    return order[:fmt.outliers(len(measure))].sort().values


def _fitted(x: Tensor, formats: Sequence[OutlierSplitFormat],
            columns: Sequence[Tensor]) -> list[Split]:
    """The split of each format at its *columns*; those of the same columns are fitted together."""
    together: dict[tuple[int, ...], list[int]] = {}
    for i, own in enumerate(columns):
        together.setdefault(tuple(own.tolist()), []).append(i)
    found: dict[int, Split] = {}
    for members in together.values():
        own = columns[members[0]]
        left = x[:, others(own, x.shape[1])]
        for i, rest in zip(members, _INTEGERS.fit(left, [formats[i].rest for i in members]),
                           strict=True):
            found[i] = Split(columns=own, rest=rest, errors=_errors(x, own, rest, formats[i]))
    return [found[i] for i in range(len(formats))]


def _errors(x: Tensor, columns: Tensor, rest: Params, fmt: OutlierSplitFormat) -> Tensor:
    scale = _scales(x, columns, rest, fmt)
    steps = (x.float() / scale).round_().clamp_(*fmt.code_range)
    return (x.double() - steps.mul_(scale)).square().sum(0)


def _scales(x: Tensor, columns: Tensor, rest: Params, fmt: OutlierSplitFormat) -> Tensor:
    """The scale of every number, those left out included: they count as what follows them."""
    rows, length = x.shape
    if len(rest.scale) in (1, rows):
        return rest.scale
    before = torch.zeros(length, dtype=torch.long, device=x.device)
    before[others(columns, length)] = 1
    place = before.cumsum(0) - before
    size = fmt.group_size or length
    runs = rest.scale.view(rows, -1)
    return runs[:, (place // size).clamp(max=runs.shape[1] - 1)]
