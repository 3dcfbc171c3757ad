"""Models and batches that the caller already holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batches
from mpsearch.sources.division import Split
from mpsearch.sources.function import batches_of
from mpsearch.sources.model import LoadedModel
from mpsearch.sources.preprocess import preprocessing_of
from mpsearch.sources.recut import recut
from mpsearch.sources.weights import check_finite

_HERE = "the given data"


def given_model(module: nn.Module) -> LoadedModel:
    """The caller's *module*, put in evaluation mode.

    Raises:
        BadInput: a weight that is not finite.
    """
    name = type(module).__qualname__
    check_finite(module, name)
    return LoadedModel(module=module.eval(), source=name, preprocessing=preprocessing_of(module))


def load_batches(data: Iterable[Any], *, split: Split, samples: int, batch_size: int,
                 seed: int) -> Batches:
    """At most *samples* samples of *data*, batches as a function may yield them.

    Every other sample is for calibration, the rest for evaluation, whatever the *seed*.

    Raises:
        BadInput: something else than batches, or no samples for the split.
    """
    del seed  # the order is the caller's
    found = batches_of(data, split=split, samples=samples, where=_HERE)
    if not found:
        raise BadInput(f"{_HERE} has no samples for {split}: give more batches")
    return Batches.of(recut(found, batch_size, where=_HERE))
