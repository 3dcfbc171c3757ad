"""The core as an integer program, solved by HiGHS (or another solver) through PuLP.

A solver's "optimal" is not proof: its tolerances are absolute, and losses that are small beside
the largest one fall below them. So losses are divided by the largest in play, each limit becomes
1 (or a small whole number), tolerances are set as fine as HiGHS takes them, and what the solver
claims is lowered by what they may have hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpsearch.allocation import linearised
from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.shifted import shifted
from mpsearch.core.errors import BadInput

_TOLERANCES = {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-10,
               "mip_feasibility_tolerance": 1e-9}
_CLAIM = 2 * sum(_TOLERANCES.values())  # share of the largest loss, per term, not to be trusted
_HALF = 0.5
_WHOLE = 1_000_000  # limits of up to so many units stay whole numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the solver said: a choice of the problem (if any), and a bound above the core's base.

    With pairs, the bound is above the sum of that base and the pairs' smallest values. The choice
    may exceed a limit by the solver's tolerance.
    """

    choice: tuple[int, ...] | None
    bound: float
    infeasible: bool


def solve(core: Core, *, solver: str, seconds: float, margin: float = 0.0) -> Answer:
    """Solve *core* with every limit lowered by a share of *margin*.

    Raises:
        BadInput: PuLP does not know *solver*, or it is not installed.
    """
    import pulp

    model = _Model(core, margin)
    model.run(solver, seconds)
    program = model.program
    found = program.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    return Answer(choice=model.choice() if found else None, bound=model.bound(),
                  infeasible=program.sol_status == pulp.LpSolutionInfeasible)


class _Model:
    """PuLP's program of a core: one column a candidate of an open group, exactly one of each.

    Groups with pairs have columns too where nothing is open.
    """

    def __init__(self, core: Core, margin: float) -> None:
        import pulp

        self.core = core
        pairs, _ = shifted(core)
        groups = sorted({*core.open, *(g for pair in pairs for g in (pair.first, pair.second))})
        rows = [core.losses[group] for group in groups]
        self.scale = max((float(row.max()) for row in rows), default=0.0)
        self.scale = max(self.scale, linearised.largest(pairs))
        self.program = program = pulp.LpProblem("allocation", pulp.LpMinimize)
        self.columns = {
            group: [program.add_variable(f"x{group:06}_{place:06}", 0, 1, pulp.LpBinary)
                    for place in range(core.losses[group].size)] for group in groups}
        program += self._sum([row / (self.scale or 1.0) for row in rows])
        for columns in self.columns.values():
            program += pulp.LpAffineExpression([(column, 1) for column in columns]) == 1
        self.terms = len(groups) + linearised.couple(
            program, self.columns, pairs, self.scale or 1.0)
        for metric, room in enumerate(core.room[:, 0].tolist()):
            costs = [core.costs[group][:, metric, 0] for group in groups]
            unit = int(np.gcd.reduce(np.concatenate(costs))) or 1
            unit = unit if room // unit <= _WHOLE else room
            limit = room // unit * (1 - margin)
            # Twice the limit excludes as well as any more, and solvers drop huge coefficients.
            beyond = 2.0 * max(1, room // unit)
            program += self._sum([np.minimum(row / unit, beyond) for row in costs]) <= limit

    def _sum(self, rows: list[Floats]) -> Any:
        import pulp

        pairs = zip(self.columns.values(), rows, strict=True)
        return pulp.LpAffineExpression([
            (column, float(value)) for columns, row in pairs
            for column, value in zip(columns, row, strict=True) if value])

    def run(self, solver: str, seconds: float) -> None:
        import pulp

        options: dict[str, Any] = {"msg": False, "timeLimit": seconds}
        if solver == "HiGHS":
            options |= {"gapRel": 0.0, "gapAbs": 0.0, "parallel": "off", "random_seed": 0}
            options |= _TOLERANCES
        try:
            engine = pulp.getSolver(solver, **options)
        except pulp.PulpSolverError as error:
            raise BadInput(f"unknown solver '{solver}': use HiGHS, or one of PuLP's") from error
        if not engine.available():
            raise BadInput(f"the solver {solver} is not installed: use HiGHS")
        self.program.solve(engine)

    def choice(self) -> tuple[int, ...] | None:
        """What the columns say; a column counts as taken above one half."""
        positions = [0] * len(self.core.losses)
        for group, columns in self.columns.items():
            taken = [place for place, column in enumerate(columns)
                     if (column.varValue or 0) > _HALF]
            if len(taken) != 1:
                return None
            positions[group] = taken[0]
        return self.core.choice(positions)

    def bound(self) -> float:
        """HiGHS's own bound less what its tolerances may hide; other solvers tell none."""
        engine: Any = self.program.solverModel
        claim = engine.getInfo().mip_dual_bound if hasattr(engine, "getInfo") else -np.inf
        return (float(claim) - _CLAIM * self.terms) * self.scale
