"""How other tools solve one table of scores and costs: theirs where installed, else in their way.

Every function takes scores and costs (lists of lists, cheapest candidate first) and a limit, and
returns the choice and the status that is reported to the user.
"""

from __future__ import annotations

import numpy as np
import pulp
from scipy.optimize import Bounds, LinearConstraint, milp

try:
    from modelopt.torch.opt.searcher import LPS
except ImportError:
    LPS = None
try:
    from model_compression_toolkit.core.common.mixed_precision.resource_utilization_tools import (
        resource_utilization,
    )
    from model_compression_toolkit.core.common.mixed_precision.search_methods import (
        linear_programming,
    )
except ImportError:
    linear_programming = None


def cbc(scores, costs, limit):
    """PuLP and CBC as they come, scores as they are."""
    program = pulp.LpProblem("plain", pulp.LpMinimize)
    picks = [[program.add_variable(f"x{g}_{k}", cat=pulp.LpBinary) for k in range(len(row))]
             for g, row in enumerate(scores)]
    program += pulp.lpSum(x * s for xs, row in zip(picks, scores) for x, s in zip(xs, row))
    program += pulp.lpSum(x * c for xs, row in zip(picks, costs) for x, c in zip(xs, row)) <= limit
    for xs in picks:
        program += pulp.lpSum(xs) == 1
    program.solve(pulp.PULP_CBC_CMD(msg=False))
    choice = [int(np.argmax([x.varValue or 0 for x in xs])) for xs in picks]
    return choice, pulp.LpStatus[program.status]


def modelopt_lps(scores, costs, limit):
    """nvidia-modelopt's solver, called like its AutoQuantize: a lower bound if there is none."""
    for low in (None, 0.99, 0.90):
        bound = limit if low is None else (low * limit, limit)
        solver = LPS(name="AutoQuantize", constraints={"size": bound}, candidate_scores=scores,
                     constraints_to_candidate_costs={"size": costs}, objective_type="minimize")
        choice, status = solver()
        if status == "Optimal":
            break
    return [int(k) for k in choice], status


def mct_solver(scores, costs, limit):
    """Sony MCT's solver, with costs relative to the cheapest candidates as its caller has them."""
    target = resource_utilization.RUTarget.WEIGHTS
    base = [row[0] for row in costs]
    relative = np.concatenate([np.array(row) - row[0] for row in costs])[:, None]
    solver = linear_programming.MixedPrecisionIntegerLPSolver(
        dict(enumerate(scores)), {target: relative}, {target: np.array([limit - sum(base)])})
    found = solver.run()
    return [int(found[g]) for g in range(len(scores))], "Optimal"


def highs(scores, costs, limit):
    """HiGHS with its default tolerances, through scipy, scores as they are."""
    sizes = [len(row) for row in scores]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    flat = np.concatenate(scores)
    answer = milp(flat, integrality=np.ones(flat.size), bounds=Bounds(0, 1), constraints=[
        LinearConstraint(np.concatenate(costs)[None], -np.inf, limit),
        LinearConstraint((owner == np.arange(len(sizes))[:, None]).astype(float), 1, 1)])
    picked = [answer.x[owner == g] for g in range(len(sizes))]
    return [int(np.argmax(x)) for x in picked], "Optimal" if answer.success else answer.message


def bisection(scores, costs, limit):
    """One threshold for all layers, halved 100 times (the search of modelopt's kl_div method).

    A layer takes its first candidate whose score is at most the threshold, and the first of all if
    there is none. What the last threshold gives is the answer, within the limit or not.
    """
    low, high = min(map(min, scores)), max(map(max, scores))
    threshold = (low + high) / 2
    for _ in range(100):
        choice = [next((k for k, score in enumerate(row) if score <= threshold), 0)
                  for row in scores]
        fits = sum(row[k] for row, k in zip(costs, choice)) <= limit
        low, high = (low, threshold) if fits else (threshold, high)
        threshold = (low + high) / 2
    return choice, "satisfied" if fits else "not satisfied"


PEERS = {
    **({"modelopt LPS": modelopt_lps} if LPS else {"CBC as modelopt calls it": cbc}),
    **({"MCT solver": mct_solver} if linear_programming else {"CBC as MCT calls it": cbc}),
    "PuLP + CBC": cbc, "HiGHS defaults": highs, "threshold bisection": bisection,
}
