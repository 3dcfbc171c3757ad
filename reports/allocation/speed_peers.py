"""Other solvers on the same tables, each in a process of its own with a limit on CPU time."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import os
import resource
import signal

import numpy as np



_WALL = 10  # the solvers count wall seconds; the limit on CPU time is to come first


def preload():
    """Import every peer here, so that no process of one spends its time on that."""
    for module in {each for modules in IMPORTS.values() for each in modules}:
        try:
            importlib.import_module(module)
        except ImportError as error:
            print(f"not installed: {error.name} for {module}", flush=True)


def run(name, tables, seconds):
    """What a solver found and its CPU and wall seconds; it may use so many of the former.

    CPU seconds, because a shared machine may leave a process waiting for any length of time.
    """
    context = multiprocessing.get_context("fork")
    answers, give = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(name, tables, seconds, give))
    child.start()
    give.close()
    try:
        found = answers.recv()
    except EOFError:  # it was stopped without an answer
        found = {"state": "out of time"}
    child.join(5)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join()
    return found


def _child(name, tables, seconds, give):
    spent = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(spent.ru_utime + spent.ru_stime)
    limit = int(used + seconds)  # a program that it starts gets the same
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    start = os.times()
    try:
        choice, state = SOLVERS[name](*tables, seconds)
    except ImportError as error:
        give.send({"state": f"not installed: {error.name}"})
        return
    except (MemoryError, pulp_error()) as error:
        give.send({"state": "out of memory" if isinstance(error, MemoryError) else "out of time"})
        return
    end = os.times()
    give.send({"state": state, "choice": None if choice is None else [int(k) for k in choice],
               "cpu_s": sum(end[:4]) - sum(start[:4]), "wall_s": end.elapsed - start.elapsed})


def pulp_error():
    """What PuLP raises where the program that it started was stopped."""
    import pulp

    return pulp.PulpSolverError


def _pulp(solver, losses, costs, limits):
    import pulp

    model = pulp.LpProblem("allocation", pulp.LpMinimize)
    shape = losses.shape
    columns = [[pulp.LpVariable(f"x{g}_{k}", cat="Binary") for k in range(shape[1])]
               for g in range(shape[0])]
    flat = [column for row in columns for column in row]
    scale = float(losses.max() - losses.min()) or 1.0  # the solver's own default is 1
    model += pulp.LpAffineExpression(zip(flat, (losses / scale).ravel().tolist()))
    for row in columns:
        model += pulp.LpAffineExpression((column, 1) for column in row) == 1
    for table, limit in zip(costs, limits, strict=True):
        model += pulp.LpAffineExpression(zip(flat, (table / limit).ravel().tolist())) <= 1
    model.solve(solver)
    if model.sol_status not in (1, 2):
        return None, "nothing found"
    return [int(np.argmax([column.varValue or 0 for column in row])) for row in columns], (
        "says optimal" if model.sol_status == 1 else "time limit")


def cbc(losses, costs, limits, seconds):
    import pulp

    return _pulp(pulp.PULP_CBC_CMD(msg=False, timeLimit=_WALL * seconds, threads=1), losses, costs, limits)


def highs(losses, costs, limits, seconds):
    import pulp

    return _pulp(pulp.HiGHS(msg=False, timeLimit=_WALL * seconds, threads=1, gapRel=0.0), losses, costs,
                 limits)


def cp_sat(losses, costs, limits, seconds):
    """Losses in 2^40ths of the largest; costs must be whole and are rounded up where they are not."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    columns = [[model.new_bool_var("") for _ in row] for row in losses]
    flat = [column for row in columns for column in row]
    whole = np.rint((losses - losses.min()) / (np.ptp(losses) or 1.0) * 2**40).astype(int)
    for row in columns:
        model.add_exactly_one(row)
    for table, limit in zip(costs, limits, strict=True):
        unit = 1 if (table == np.rint(table)).all() else 2**20
        model.add(cp_model.LinearExpr.weighted_sum(
            flat, np.ceil(table * unit).astype(int).ravel().tolist()) <= int(limit * unit))
    model.minimize(cp_model.LinearExpr.weighted_sum(flat, whole.ravel().tolist()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds, solver.parameters.num_workers = (
        _WALL * seconds, 1)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, "nothing found"
    return [int(np.argmax([solver.value(column) for column in row])) for row in columns], (
        "says optimal" if status == cp_model.OPTIMAL else "time limit")


def exact_dp(losses, costs, limits, seconds):
    """All undominated sums of cost and loss, group by group; memory for 30 million of them."""
    loss, spent, trail = np.zeros(1), np.zeros(1), []
    kept = 0
    for row, cost in zip(losses, costs[0], strict=True):
        if loss.size * row.size > 30_000_000:
            return None, "out of memory"
        loss, spent = (loss[:, None] + row).ravel(), (spent[:, None] + cost).ravel()
        order = np.lexsort((loss, spent))
        order = order[spent[order] <= limits[0]]
        least = np.minimum.accumulate(np.append(np.inf, loss[order]))
        order = order[loss[order] < least[:-1]]
        kept += order.size
        if kept > 30_000_000:
            return None, "out of memory"
        trail.append(order.astype(np.int32))
        loss, spent = loss[order], spent[order]
    at, choice = int(loss.argmin()), []
    for order in reversed(trail):
        at, k = divmod(int(order[at]), losses.shape[1])
        choice.append(k)
    return choice[::-1], "exact"


def modelopt(losses, costs, limits, seconds):
    """The solver of nvidia-modelopt's AutoQuantize (CBC with default settings, no limit)."""
    from modelopt.torch.opt.searcher import LPS

    names = [f"c{m}" for m in range(len(costs))]
    choice, status = LPS("search", dict(zip(names, map(float, limits))),
                         dict(zip(names, (table.tolist() for table in costs))), losses.tolist())()
    return choice, f"says {status.lower()}"


def auto_round(losses, costs, limits, seconds):
    """The solver of auto-round's AutoScheme, without its beam."""
    from auto_round.auto_scheme.delta_loss import choose_bits_per_layer_with_path

    layers = {str(g): [(k, cost, loss, g) for k, (cost, loss) in enumerate(zip(c, row))]
              for g, (c, row) in enumerate(zip(costs[0].tolist(), losses.tolist(), strict=True))}
    _, path = choose_bits_per_layer_with_path(layers, limits[0])
    return [scheme for _, scheme in path], "exact"


SOLVERS = {"PuLP+CBC": cbc, "PuLP+HiGHS": highs, "CP-SAT": cp_sat, "exact DP": exact_dp,
           "modelopt": modelopt, "auto-round": auto_round}
IMPORTS = {"CP-SAT": ("ortools.sat.python.cp_model",), "modelopt": ("modelopt.torch.opt.searcher",),
           "auto-round": ("auto_round.auto_scheme.delta_loss",), "PuLP": ("pulp", "highspy")}
SINGLE = ("exact DP", "auto-round")
