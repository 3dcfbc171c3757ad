"""Operations of the graph that run in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.graph.operations import attention
from mpsearch.graph.sites import Changes, Site

Run = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerSite(Site):
    """A site whose calls run as *runs* say; None is left in float.

    An operation takes its operands as a tuple, a product inside attention its two factors. *whole*
    runs all of attention at once, *softmax* is what it takes otherwise, if not torch's.
    """

    runs: tuple[Run | None, ...]
    softmax: Callable[[Tensor], Tensor] | None = None
    whole: Run | None = None

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], changes: Changes,
            parameters: Mapping[Node, Tensor]) -> Any:
        """The operation's output on *args*."""
        del changes, parameters
        if self.whole is not None:
            return self.whole(args, kwargs)
        if len(self.calls) > 1:
            own_softmax = {} if self.softmax is None else {"softmax": self.softmax}
            first, second = (run or torch.matmul for run in self.runs)
            return attention(args, kwargs, query_key={}, probability_value={},
                             products=(first, second), **own_softmax)
        own = self.runs[0]
        return own(args) if own else self.node.target(*args, **kwargs)  # type: ignore[operator]
