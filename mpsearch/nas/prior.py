"""What scores may be wrong by, before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpsearch.nas.landscape import Floats, Landscape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """A Gaussian over relative errors w [groups, schemes] of a table of scores, of mean zero.

    Each is a sum of what the group's units share (a block, a kind), what all schemes of the group
    share, and its own part, with standard deviations *unit*, *group* and *own*.
    """

    landscape: Landscape
    unit: float
    group: float
    own: float

    def times(self, tables: Floats) -> Floats:
        """The covariance times each of *tables* [..., groups, schemes]."""
        whole = tables.sum(-1)
        shared = self.group**2 * whole + self.unit**2 * (whole @ self._together)
        found: Floats = self.own**2 * tables + shared[..., None]
        return found

    def drawn(self, rng: np.random.Generator) -> Floats:
        """One w."""
        own = rng.standard_normal(self.landscape.scores.shape)
        group = rng.standard_normal(len(own))
        unit = rng.standard_normal(len(self.landscape.units)) @ self._weights
        found: Floats = self.own * own + (self.group * group + self.unit * unit)[:, None]
        return found

    @property
    def _weights(self) -> Floats:
        """Membership, scaled so that a group's units together have a variance of 1."""
        member = self.landscape.membership
        found: Floats = member / np.sqrt(np.maximum(member.sum(0), 1))
        return found

    @property
    def _together(self) -> Floats:
        weights = self._weights
        found: Floats = weights.T @ weights
        return found
