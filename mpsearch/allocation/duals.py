"""Dual variables of the linear relaxation with several budgets, by HiGHS without a modeller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpsearch.allocation.bound import Floats

_OPTIONS: dict[str, Any] = {
    "output_flag": False, "threads": 1, "random_seed": 0,
    "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def solve_duals(losses: Floats, costs: Floats, room: Floats,
                sizes: Sequence[int]) -> Floats | None:
    """What a unit of *room* is worth in each budget, none below zero; None without a solution.

    *losses* has one value a candidate, group after group of *sizes* candidates; *costs* (budgets
    by candidates) are limited by *room*. Exactly one candidate of each group is taken, in parts.
    """
    import highspy

    solver = highspy.Highs()
    for name, value in _OPTIONS.items():
        solver.setOptionValue(name, value)
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
