"""Interactions of a problem said in another way."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput


def shrunk(problem: Problem, shrinkage: float) -> Problem:
    """The *problem* whose interactions count *shrinkage* times; what is forbidden stays so.

    Raises:
        BadInput: a shrinkage that is not within 0 and 1.
    """
    if not 0 <= shrinkage <= 1:
        raise BadInput(f"interactions cannot count {shrinkage:g} times: say 0 to 1")
    if shrinkage == 1:
        return problem
    factor = None if problem.factor is None else problem.factor * math.sqrt(shrinkage)
    pairs = tuple(replace(pair, values=np.where(np.isinf(pair.values), np.inf,
                                                np.nan_to_num(pair.values, posinf=0) * shrinkage))
                  for pair in problem.pairs)
    return replace(problem, factor=factor, pairs=pairs)


def as_pairs(problem: Problem, largest: int) -> Problem | None:
    """The *problem* with its factor as a pair of every two groups.

    None if it has no factor, or a table of all groups has more than *largest* entries.
    """
    factor, sizes = problem.factor, problem.sizes
    if factor is None or math.prod(sizes) > largest:
        return None
    columns = np.split(factor, np.cumsum(sizes)[:-1], axis=1)
    pairs = [Pair(first=i, second=j, values=2 * columns[i].T @ columns[j])
             for i, j in itertools.combinations(range(len(sizes)), 2)]
    return replace(problem, factor=None, pairs=(*problem.pairs, *pairs))
