"""Measures of a changed output by name: built-in ones, plug-ins, or a function of the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.sources.load_function import load_function

Metric = Callable[[Tensor, Tensor], Tensor]
"""Of the float and the changed output, one number a sample: zero if equal, larger is worse."""


def metric_of(name: str) -> Metric:
    """The metric that *name* stands for: a plug-in's name, or ``package.module:function``.

    Raises:
        UnknownName: there is no such metric.
        BadInput: the function cannot be imported.
    """
    if ":" not in name:
        metric: Metric = plugins.load("metric", name)
        return metric
    function = load_function(name)

    def measured(reference: Tensor, output: Tensor) -> Tensor:
        # it may name its arguments otherwise, and then has the float output first
        bound = partial(function.target, reference=reference, output=output) if (
            function.accepts("reference") and function.accepts("output")) else partial(
                function.target, reference, output)
        found = replace(function, target=bound).call(lambda values: values)
        if not isinstance(found, Tensor) or found.shape != (len(reference),) or not bool(
                torch.isfinite(found).all()):
            raise BadInput(f"the metric {name} must return one finite number a sample: a tensor of "
                           f"shape ({len(reference)},)")
        return found.double()

    return measured
