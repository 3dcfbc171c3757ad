"""Which samples are for calibration and which for evaluation, and which of those are taken."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Literal

from mpsearch.core.errors import BadInput

Split = Literal["calibration", "evaluation"]

_ALIASES: dict[str, Split] = {
    "calibration": "calibration", "calib": "calibration",
    "train": "calibration", "training": "calibration",
    "evaluation": "evaluation", "eval": "evaluation", "val": "evaluation",
    "valid": "evaluation", "validation": "evaluation", "test": "evaluation",
}
# The division does not follow the user's seed: parts drawn with two seeds must not overlap.
_DIVISION_SEED = 0


def is_split(text: str) -> bool:
    """Whether *text* is a split's name or another word for it."""
    return text.strip().lower() in _ALIASES


def read_split(text: str, where: str) -> Split:
    """The split that *text* names; *where* is said in the error.

    Raises:
        BadInput: another word.
    """
    if not is_split(text):
        raise BadInput(f"{where} has the split '{text}': write calibration or evaluation "
                       "(train, val and test are understood)")
    return _ALIASES[text.strip().lower()]


def choose(total: int, splits: Sequence[Split] | None, *, split: Split, samples: int, seed: int,
           where: str) -> list[int]:
    """Indices of at most *samples* out of *total* samples that belong to *split*.

    They come in an order drawn from *seed*; fewer samples are the beginning of more. Without
    *splits* one half is for calibration and the other for evaluation, whatever the seed.

    Raises:
        BadInput: the split has no samples.
    """
    if splits is None:
        part = _half(total, split)
    else:
        part = [index for index, each in enumerate(splits) if each == split]
    if not part:
        advice = (f"mark some {split} in its split column" if splits is not None else
                  "give at least two samples, for calibration and evaluation")
        raise BadInput(f"{where} has no samples for {split}: {advice}")
    random.Random(seed).shuffle(part)  # noqa: S311  (repeatable, not secret)
    return part[:samples]


def stream(split: Split) -> Iterator[bool]:
    """Whether the first, second, … sample of a stream of unknown length belongs to *split*.

    Of every two samples one belongs to calibration and one to evaluation, the lot deciding which;
    of a lone sample the evaluation gets it.
    """
    lots = random.Random(_DIVISION_SEED)  # noqa: S311  (repeatable, not secret)
    first_pair = True
    while True:
        first_evaluates = first_pair or bool(lots.getrandbits(1))
        first_pair = False
        yield first_evaluates == (split == "evaluation")
        yield first_evaluates != (split == "evaluation")


def _half(total: int, split: Split) -> list[int]:
    order = list(range(total))
    random.Random(_DIVISION_SEED).shuffle(order)  # noqa: S311  (repeatable, not secret)
    cut = max(1, total // 2)
    return sorted(order[:cut] if split == "evaluation" else order[cut:])
