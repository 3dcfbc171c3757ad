"""Dual variables of the linear relaxation with several budgets, by HiGHS without a modeller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core

_MOST = 1e6  # times its limit, the largest cost that is told apart
_OPTIONS: dict[str, Any] = {
    "output_flag": False, "threads": 1, "random_seed": 0,
    "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def core_duals(core: Core, seconds: float) -> Floats | None:
    """What a unit of each limit of *core* is worth, up to a common factor.

    None if the relaxation has no solution, or not in time.
    """
    losses = np.concatenate([core.losses[group] for group in core.open])
    costs = np.concatenate([core.costs[group][..., 0] for group in core.open]).T.astype(np.float64)
    room = core.room[:, 0].astype(np.float64)
    units = np.maximum(1.0, room)
    # Solvers drop huge coefficients; a millionth of such a candidate already fills a limit.
    scaled = np.minimum(costs / units[:, None], _MOST)
    duals = solve_duals(losses / (losses.max() or 1.0), scaled, room / units,
                        [core.losses[group].size for group in core.open], seconds)
    return None if duals is None else duals / units


def solve_duals(losses: Floats, costs: Floats, room: Floats, sizes: Sequence[int],
                seconds: float = math.inf) -> Floats | None:
    """What a unit of *room* is worth in each budget, none below zero.

    *losses* has one value a candidate, group after group of *sizes* candidates; *costs* (budgets
    by candidates) are limited by *room*. Exactly one candidate of each group is taken, in parts.
    None without a solution, or if it takes more than so many *seconds*.
    """
    import highspy

    solver = highspy.Highs()
    for name, value in _OPTIONS.items():
        solver.setOptionValue(name, value)
    solver.setOptionValue("time_limit", seconds)
    solver.passModel(_model(highspy, losses, costs, room, sizes))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return np.asarray(np.maximum(0.0, -np.array(solver.getSolution().row_dual[:room.size])))


def _model(highspy: Any, losses: Floats, costs: Floats, room: Floats, sizes: Sequence[int]) -> Any:
    """Rows: the budgets, then a group each. Columns: the candidates."""
    count, budgets = losses.size, room.size
    group = np.repeat(np.arange(len(sizes)), sizes)
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = count, budgets + len(sizes)
    program.col_cost_ = losses
    program.col_lower_, program.col_upper_ = np.zeros(count), np.full(count, highspy.kHighsInf)
    program.row_lower_ = np.append(np.full(budgets, -highspy.kHighsInf), np.ones(len(sizes)))
    program.row_upper_ = np.append(room, np.ones(len(sizes)))
    matrix = program.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    matrix.start_ = np.arange(0, (budgets + 1) * (count + 1), budgets + 1)
    matrix.index_ = np.hstack([np.tile(np.arange(budgets), (count, 1)),
                               budgets + group[:, None]]).ravel()
    matrix.value_ = np.vstack([costs, np.ones(count)]).T.ravel()
    return program
