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

_FORMS = ('a tensor, (x, y), ((x1, x2), y) or {"args": (x1, x2), "labels": y}, which may have '
          '"segments" and "tokens" too')
_KEYS = {"args", "labels", "segments", "tokens"}
_TOKENS = 2  # dimensions: samples and tokens


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
            found.append(batch.rows(rows))
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
    inputs, about = _halves(item, spec)
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not args or not all(isinstance(each, Tensor) and each.ndim for each in args):
        raise BadInput(f"{spec} yielded arguments that are not tensors of samples: yield {_FORMS}")
    labels = _one_a_sample(about.get("labels"), spec, "labels", "yield a tensor of integers after "
                           "the inputs, and several inputs as ((x1, x2), y)")
    segments = _one_a_sample(about.get("segments"), spec, "segments",
                             "give a tensor of one integer a sample")
    tokens = _tokens(about.get("tokens"), spec)
    sizes = [len(each) for each in (*args, labels, segments, tokens) if each is not None]
    if len(set(sizes)) > 1:
        raise BadInput(f"{spec} yielded a batch of unequal lengths ({', '.join(map(str, sizes))}): "
                       "give every tensor one row a sample")
    return Batch(args=tuple(each.detach() for each in args), labels=labels, segments=segments,
                 tokens=tokens)


def _one_a_sample(given: Any, spec: str, name: str, remedy: str) -> Tensor | None:
    """Integers of shape [samples], one for each sample."""
    if given is None:
        return None
    if not _integers(given):
        raise BadInput(f"{spec} yielded {name} that are not integers: {remedy}")
    # Several numbers a sample give a length that fits no sample, and are refused for it.
    made: Tensor = given.detach().reshape(-1).long()
    return made


def _tokens(given: Any, spec: str) -> Tensor | None:
    """Integers of shape [samples, tokens]."""
    if given is None:
        return None
    if not _integers(given) or given.ndim != _TOKENS:
        raise BadInput(f"{spec} yielded tokens that are not integers of shape (samples, tokens): "
                       "give the number of its group for every token")
    made: Tensor = given.detach().long()
    return made


def _integers(given: Any) -> bool:
    return isinstance(given, Tensor) and not given.dtype.is_floating_point and (
        given.dtype not in {torch.bool, torch.complex64, torch.complex128})


def _halves(item: Any, spec: str) -> tuple[Any, Mapping[str, Any]]:
    """Inputs of one batch as yielded, and what is known about its samples."""
    match item:
        case Tensor():
            return item, {}
        case {"args": inputs}:
            unknown = sorted(str(key) for key in item if key not in _KEYS)
            if unknown:
                raise BadInput(f"{spec} yielded a batch with '{unknown[0]}': the keys are "
                               f"{', '.join(sorted(_KEYS))}")
            return inputs, item
        case [Tensor() as inputs]:
            return inputs, {}
        case [(Tensor() | [*_]) as inputs, labels]:
            return inputs, {"labels": labels}
    raise BadInput(f"{spec} yielded a {type(item).__name__}: yield {_FORMS}")
