"""Unknown interactions of all pairs of groups, as a Gaussian prior sees them.

Two groups with losses p and q add r * sqrt(p q) together, with one Gaussian unknown r for each
pair. The prior's covariance of what two choices lose by that is a polynomial of degree 2, so that
all pairs cost no more than their groups (Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, section 4.2.2).
"""

from __future__ import annotations

import numpy as np

from mpsearch.nas.landscape import Floats, Integers, Landscape

_TINY = 1e-300


def roots(landscape: Landscape, choices: Integers, interaction: float = 0.0) -> Floats:
    """The square root of the share of each group in the total of each choice [N, groups]."""
    own = landscape.scores[np.arange(len(landscape.sizes)), choices]
    base = np.maximum(landscape.additive(choices, interaction), _TINY)
    found: Floats = np.sqrt(np.maximum(own, 0) / base[:, None])
    return found


def kernel(first: Floats, second: Floats) -> Floats:
    """The covariance [N, M] of *first* and *second* roots, for r of variance 1."""
    found: Floats = ((first @ second.T)**2 - first**2 @ (second**2).T) / 2
    return found


def variance(own: Floats) -> Floats:
    """The diagonal [N] of the `kernel` of *own* with themselves."""
    squares = own**2
    found: Floats = (squares.sum(1)**2 - (squares**2).sum(1)) / 2
    return found


def told(weights: Floats, own: Floats) -> Floats:
    """All r [groups, groups] of a sum of observations with *own* roots, with *weights* [N]."""
    found: Floats = own.T @ (weights[:, None] * own)
    np.fill_diagonal(found, 0)
    return found


def drawn(rng: np.random.Generator, groups: int) -> Floats:
    """All r [groups, groups], of variance 1."""
    upper = np.triu(rng.standard_normal((groups, groups)), 1)
    found: Floats = upper + upper.T
    return found


def seen(pairs: Floats, own: Floats) -> Floats:
    """What *pairs* [groups, groups] add to choices with *own* roots, as a share of their totals."""
    found: Floats = np.einsum("ng,ng->n", own @ pairs, own) / 2
    return found


def linear(landscape: Landscape, pairs: Floats, choice: Integers) -> Floats:
    """What *pairs* add to each score [groups, schemes], with all other groups as in *choice*."""
    root = np.sqrt(np.maximum(landscape.scores, 0))
    beside = pairs @ root[np.arange(len(root)), choice]
    found: Floats = root * beside[:, None]
    return found
