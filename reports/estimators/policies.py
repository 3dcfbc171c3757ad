"""The policies that predictions are held against: random ones, and swaps around solutions."""

from __future__ import annotations

import numpy as np

from mpsearch.core.budget import Budget
from mpsearch.core.errors import Infeasible
from mpsearch.steps.allocate import allocate

BASES = ("fisher", "kl_probe")
TARGETS = (3.0, 4.0, 5.0, 6.0)


def random_policies(sizes, weights, count=60, low=3.0, high=6.0, seed=0):
    """Independent draws whose expected bits per weight are spread evenly from *low* to *high*.

    *sizes* has the stored bits of every scheme of every group. A group draws its scheme with
    probability proportional to exp(-price * bits per weight), with the price that gives the target.
    """
    generator = np.random.default_rng(seed)
    rates = [np.asarray(row) / (max(max(row), 1) / 8) for row in sizes]
    found = []
    for target in np.linspace(low, high, count):
        price = _price(sizes, rates, weights, target)
        found.append(tuple(int(generator.choice(len(rate), p=_chances(rate, price)))
                           for rate in rates))
    return found


def near_optimal(measured, count=15, seed=0, targets=TARGETS, bases=BASES, cost="size"):
    """*count* policies at each target: 1 to 8 swaps away from an integer program's solution.

    A swap takes one group a scheme down and another a scheme up; the cost stays within 1 %.
    Solutions on the scores of *bases* take turns. *targets* are bits per weight, or budgets by
    name.
    """
    generator = np.random.default_rng(seed + 1)
    sizes = [np.asarray(row) for row in measured.costs()[cost].values]
    found = []
    for target in targets:
        budget = targets[target] if isinstance(targets, dict) else Budget(
            metric="bits_per_weight", limit=target, text=f"{target!r}bpw")
        starts = _solutions(measured, budget, bases)
        for number in range(count):
            start = starts[number % len(starts)]
            swaps = 1 + number * 7 // max(count - 1, 1)
            found.append((target, _swapped(start, sizes, swaps, generator)))
    return found


def _solutions(measured, budget, bases):
    try:
        return [allocate(measured, base, [budget]).selection.choice for base in bases]
    except Infeasible as error:
        raise SystemExit(str(error)) from error


def _swapped(start, sizes, swaps, generator):
    choice, whole = list(start), sum(row[k] for row, k in zip(sizes, start, strict=True))
    orders = [np.argsort(row, kind="stable") for row in sizes]
    done = tries = 0
    while done < swaps and tries < 20_000:
        tries += 1
        down, up = generator.integers(len(choice), size=2)
        if down == up:
            continue
        trial = list(choice)
        for group, step in ((down, -1), (up, 1)):
            place = int(np.where(orders[group] == trial[group])[0][0]) + step
            if not 0 <= place < len(orders[group]):
                break
            trial[group] = int(orders[group][place])
        else:
            total = sum(row[k] for row, k in zip(sizes, trial, strict=True))
            if abs(total - whole) <= 0.01 * whole:
                choice, done = trial, done + 1
    return tuple(choice)


def _chances(rate, price):
    logits = -price * rate
    chances = np.exp(logits - logits.max())
    return chances / chances.sum()


def _price(sizes, rates, weights, target):
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        expected = sum(float(_chances(rate, middle) @ np.asarray(row))
                       for row, rate in zip(sizes, rates, strict=True)) / weights
        low, high = (middle, high) if expected > target else (low, middle)
    return (low + high) / 2
