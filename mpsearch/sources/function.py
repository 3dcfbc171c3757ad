"""Functions that yield batches, written by the user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batch
from mpsearch.sources.division import Split, stream
from mpsearch.sources.load_function import load_function

_FORMS = 'a tensor, (x, y), ((x1, x2), y) or {"args": (x1, x2), "labels": y}'


def read_function(spec: str, *, split: Split, samples: int, seed: int) -> list[Batch]:
    """The first *samples* samples that the function *spec* yields for *split*.

    The function is called with ``split`` and ``seed`` where it has parameters of these names. One
    without ``split`` yields all samples, and every other one belongs to this split. Reading stops
    when there are enough, so an endless generator is fine.

    Raises:
        BadInput: the function fails, or yields something else than batches, or too few.
    """
    function = load_function(spec)
    given = {"split": split, "seed": seed}
    arguments = {name: value for name, value in given.items() if function.accepts(name)}
    divided = "split" not in arguments
    found = function.call(
        lambda result: batches_of(result, split=split if divided else None, samples=samples,
                                  where=spec), **arguments)
    if not found:
        raise BadInput(f"{spec} yields no samples for {split}: yield at least one batch of them")
    return found


def batches_of(data: Any, *, split: Split | None, samples: int, where: str) -> list[Batch]:
    """The first *samples* samples of *data*: an iterable of batches, or a single batch.

    With a *split* only every other sample belongs to it; None takes all as they come.

    Raises:
        BadInput: something else than batches; *where* names the source.
    """
    found: list[Batch] = []
    missing, lots = samples, None if split is None else stream(split)
    for batch in _parsed(data, where):
        rows = torch.tensor([i for i in range(batch.size) if lots is None or next(lots)][:missing],
                            dtype=torch.int64)
        if len(rows):
            labels = None if batch.labels is None else batch.labels[rows]
            found.append(Batch(args=tuple(each[rows] for each in batch.args), labels=labels))
            missing -= len(rows)
        if not missing:
            break
    return found


def _parsed(result: Any, spec: str) -> Iterator[Batch]:
    """The batches in what the function returned: an iterable of them, or a single one."""
    if isinstance(result, Tensor | tuple | Mapping):
        result = [result]
    if not isinstance(result, Iterable):
        raise BadInput(f"{spec} returned a {type(result).__name__}: yield batches, each {_FORMS}")
    for item in result:
        yield _batch(item, spec)


def _batch(item: Any, spec: str) -> Batch:
    inputs, labels = _halves(item, spec)
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not args or not all(isinstance(each, Tensor) and each.ndim for each in args):
        raise BadInput(f"{spec} yielded arguments that are not tensors of samples: yield {_FORMS}")
    sizes = [len(each) for each in args]
    if labels is not None:
        if not isinstance(labels, Tensor) or labels.dtype.is_floating_point or (
                labels.dtype in (torch.bool, torch.complex64, torch.complex128)):
            raise BadInput(f"{spec} yielded labels that are not integers: yield a tensor of "
                           "integers after the inputs, and several inputs as ((x1, x2), y)")
        labels = labels.detach().reshape(len(labels), -1).long() if labels.ndim else (
            labels.reshape(1, 1))
        sizes.append(labels.numel())
    if len(set(sizes)) > 1:
        raise BadInput(f"{spec} yielded a batch of unequal lengths ({', '.join(map(str, sizes))}): "
                       "give every tensor one row a sample")
    return Batch(args=tuple(each.detach() for each in args),
                 labels=None if labels is None else labels[:, 0])


def _halves(item: Any, spec: str) -> tuple[Any, Any]:
    """Inputs and labels of one batch as yielded."""
    match item:
        case Tensor():
            return item, None
        case {"args": inputs}:
            return inputs, item.get("labels")
        case [Tensor() as inputs]:
            return inputs, None
        case [(Tensor() | [*_]) as inputs, labels]:
            return inputs, labels
    raise BadInput(f"{spec} yielded a {type(item).__name__}: yield {_FORMS}")
