"""Losses that a user is ready to take: ``0.01`` or ``1%`` of accuracy, ``0.05kl`` of divergence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation

_TEXT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*(%|kl)?\s*",
                   re.IGNORECASE)
_ALL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The most that a policy may lose: of the share of correct predictions, or in KL (nats)."""

    metric: Literal["top1", "kl"]
    limit: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a share (``0.01``), a percentage (``1%``) or a divergence in nats (``0.05kl``).

        Raises:
            BadInput: none of these, or a share above one.
        """
        match = _TEXT.fullmatch(text)
        unit = (match[2] or "").lower() if match else ""
        limit = float(match[1]) / (100 if unit == "%" else 1) if match else -1.0
        if limit < 0 or limit == float("inf") or (unit != "kl" and limit > _ALL):
            raise BadInput(f"cannot read the tolerance '{text}': write a fall of top-1 as 0.01 or "
                           "1%, or a KL divergence in nats as 0.05kl")
        return cls(metric="kl" if unit == "kl" else "top1", limit=limit, text=text.strip())

    def loss(self, evaluation: Evaluation) -> float:
        """What a measured policy loses, in this tolerance's unit.

        Raises:
            BadInput: a fall of accuracy is asked for, and the data has no labels.
        """
        if self.metric == "kl":
            return evaluation.kl
        if evaluation.top1 is None or evaluation.float_top1 is None:
            raise BadInput(f"the tolerance {self.text} is a fall of top-1 and the data has no "
                           "labels: give a KL divergence, such as 0.05kl")
        return evaluation.float_top1 - evaluation.top1

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerated:
    """How a tolerance was answered: what the policy loses on the samples that decided.

    *minimised* is the cost that was made small, *split* says which *samples* decided, and
    *policies* how many policies ran on them.
    """

    tolerance: str
    metric: str
    limit: float
    reached: float
    minimised: str
    split: str
    samples: int
    policies: int
