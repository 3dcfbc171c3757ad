"""The samples that a search may see."""

from __future__ import annotations

from dataclasses import dataclass

from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batches
from mpsearch.steps.session import Session

_FEWEST = 32
"""Samples of their own that a search needs; with fewer it shares those of the scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchData:
    """*batches* to judge choices by; *shared* if scores were made of the same samples.

    *asked* is how many samples were asked for.
    """

    batches: Batches
    shared: bool
    asked: int


def search_data(session: Session, samples: int) -> SearchData:
    """At most *samples* of the calibration split, none of which scores were made of.

    Where that leaves fewer than 32, the samples of the scores are among them.

    Raises:
        BadInput: there is no data, or not a positive number of samples.
    """
    if samples < 1:
        raise BadInput(f"a search needs at least one sample to judge by, not {samples}")
    used = session.request.calibration_samples
    whole = session.samples("calibration", used + samples)
    own = _without(whole, used)
    if own is not None and own.samples >= min(samples, _FEWEST):
        return SearchData(batches=own, shared=False, asked=samples)
    return SearchData(batches=session.samples("calibration", samples), shared=True, asked=samples)


def _without(batches: Batches, first: int) -> Batches | None:
    """*batches* less their *first* samples; None if that is all of them."""
    kept, passed = [], 0
    for batch in batches:
        skip = min(max(first - passed, 0), batch.size)
        passed += batch.size
        if skip < batch.size:
            kept.append(batch.rows(slice(skip, None)))
    return Batches.of(kept, note=batches.note) if kept else None
