"""A choice that does not lean on the noise of its own scores.

Scores are means over samples, and the least of many noisy totals is too good to be true (the
optimiser's curse: Smith and Winkler, Management Science 52, 2006). So the choice is that of least
mean + κ·standard error of the total, and κ is chosen by cross-validation. As ``sqrt(q) = min over
t of (q/t + t)/2``, this is a sequence of choices with a factor, one row a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.coupled import Coupled
from mpsearch.allocation.exchange import Landscape
from mpsearch.allocation.interactions import columns_of
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput

GRID = (0.0, 0.5, 1.0, 2.0, 4.0)
"""The κ that cross-validation chooses from."""
_ROUNDS = 20  # of choosing and weighing anew; as a rule two or three settle it


@dataclass(frozen=True, slots=True, kw_only=True)
class Robust:
    """The choice, and what cross-validation says of it.

    *selection* is about the mean loss alone, with the bound of the problem without noise.
    *optimism* is the loss on samples held out less the loss on the samples chosen by, a mean over
    folds, each with the κ that the others choose. *curve* has every κ tried and the held-out loss
    of the choices it makes; a *kappa* that was given is the only one in it.
    """

    selection: Selection
    kappa: float
    optimism: float
    curve: tuple[tuple[float, float], ...]


def robust(problem: Problem, samples: Floats, *, kappa: float | None = None, folds: int = 5,
           seed: int = 0) -> Robust:
    """The choice of least mean + κ·standard error of its loss, within the limits of *problem*.

    *samples* has a row a sample and a column for every candidate of every group, in order; their
    means take the place of the problem's losses. Without a *kappa*, the one of least held-out
    loss over *folds* of the samples, drawn by *seed*, is taken, of equals the smallest.

    Raises:
        BadInput: samples of another shape, too few for the folds, or not finite; a negative κ.
        Infeasible: no choice keeps to the limits.
    """
    scores = _checked(problem, samples, kappa, folds)
    parts = np.array_split(np.random.default_rng(seed).permutation(len(scores)), folds)
    grid = GRID if kappa is None else (kappa,)
    seen, held = np.zeros((len(grid), folds)), np.zeros((len(grid), folds))
    for fold, part in enumerate(parts):
        rest = np.delete(scores, part, axis=0)
        for row, (choice, _) in enumerate(_choices(problem, rest, grid)):
            columns = columns_of(problem.sizes, choice)
            seen[row, fold] = rest[:, columns].sum(axis=1).mean()
            held[row, fold] = scores[part][:, columns].sum(axis=1).mean()
    curve = held.mean(axis=1)
    chosen = int(curve.argmin())
    (_, selection), = _choices(problem, scores, grid[chosen:chosen + 1])
    return Robust(selection=selection, kappa=grid[chosen],
                  optimism=_optimism(seen, held),
                  curve=tuple(zip(grid, curve.tolist(), strict=True)))


def _optimism(seen: Floats, held: Floats) -> float:
    """Mean of held-out less seen loss, with κ chosen for each fold by the others.

    Chosen by the fold too, it would look better there than it is.
    """
    others = held.sum(axis=1, keepdims=True) - held
    folds = np.arange(held.shape[1])
    return float((held - seen)[others.argmin(axis=0), folds].mean())


def _checked(problem: Problem, samples: Floats, kappa: float | None, folds: int) -> Floats:
    scores = np.asarray(samples, dtype=np.float64)
    columns = sum(problem.sizes)
    if scores.ndim != 2 or scores.shape[1] != columns:  # noqa: PLR2004 - samples and candidates
        raise BadInput(f"the samples have the shape {scores.shape}: give a row each, with "
                       f"{columns} columns, one for every candidate of every group")
    if not np.isfinite(scores).all():
        raise BadInput("the samples have a score that is not a finite number: measure it again")
    if not 1 < folds < len(scores):
        raise BadInput(f"{len(scores)} samples cannot be divided into {folds} folds: take 2 folds "
                       "or more, and more samples than folds")
    if kappa is not None and not kappa >= 0:
        raise BadInput(f"κ cannot be {kappa:g}: give 0 or more")
    return scores


def _choices(problem: Problem, scores: Floats,
             grid: Sequence[float]) -> list[tuple[tuple[int, ...], Selection]]:
    """The choice for every κ of *grid*, and it as a selection of the problem of the means."""
    ends = np.cumsum(problem.sizes)[:-1]
    mean = scores.mean(axis=0)
    plain = replace(problem, losses=tuple(np.split(mean, ends)))
    spread = (scores - mean) / np.sqrt(len(scores) * (len(scores) - 1))
    factor: Floats = np.asarray(np.linalg.qr(spread, mode="r"))
    first = Coupled()(plain)
    found = []
    for kappa in grid:
        choice = settled(plain, factor, kappa, first.choice) if kappa else first.choice
        objective = plain.objective(choice)
        proven = first.status == "optimal" and choice == first.choice
        found.append((choice, Selection(
            choice=choice, objective=objective, bound=min(objective, first.bound),
            status="optimal" if proven else "feasible", costs=plain.spent(choice))))
    return found


def penalised(problem: Problem, spread: Floats, kappa: float, choice: Sequence[int]) -> float:
    """Loss of *choice* with *kappa* times its standard error.

    *spread* is such that the squares of the sums of its rows over the choice add up to the
    squared standard error.
    """
    columns = columns_of(problem.sizes, choice)
    return problem.objective(choice) + kappa * float(
        np.linalg.norm(spread[:, columns].sum(axis=1)))


def settled(problem: Problem, spread: Floats, kappa: float,
            start: tuple[int, ...]) -> tuple[int, ...]:
    """Choose and weigh in turn from *start* until nothing changes; the best choice met.

    *spread* and *kappa* are as in `penalised`. *start* keeps to the limits, and so does the answer.
    """
    best, value = start, penalised(problem, spread, kappa, start)
    known, current = {start}, start
    for _ in range(_ROUNDS):
        error = (penalised(problem, spread, kappa, current) - problem.objective(current)) / kappa
        if error <= 0:
            break
        current = _weighed(problem, spread, kappa / (2 * error), current)
        reached = penalised(problem, spread, kappa, current)
        if reached < value:
            best, value = current, reached
        if current in known:
            break
        known.add(current)
    return best


def _weighed(problem: Problem, spread: Floats, weight: float,
             start: tuple[int, ...]) -> tuple[int, ...]:
    """The choice from *start* of least loss and *weight* times the squared standard error."""
    factor = spread * np.sqrt(weight)
    if problem.factor is not None:
        factor = np.vstack([problem.factor, factor])
    own = np.split((spread**2).sum(axis=0) * weight, np.cumsum(problem.sizes)[:-1])
    losses = tuple(row + add for row, add in zip(problem.losses, own, strict=True))
    whole = replace(problem.binding(), losses=losses, factor=factor)
    return Landscape.of(Core.of(whole)).improve(start)
