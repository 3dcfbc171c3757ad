"""Units of work that belong to one batch and one group, and the tables made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mpsearch.core.types import ScoreTable, Segment
from mpsearch.sensitivity.engine import Todo
from mpsearch.sensitivity.study import Rows, Study, joined, table


def sample_units(study: Study) -> list[str]:
    """``batch/group`` for every batch and every group, in order of execution."""
    return [f"{number}/{group.name}" for number in range(len(study.batches))
            for group in study.order]


def by_batch(study: Study, todo: Todo, names: Sequence[str],
             ) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """The batches with missing units: for each missing group, those of *names* that lack it."""
    for number in range(len(study.batches)):
        wanted = {group.name: [name for name in todo.get(f"{number}/{group.name}", ())
                               if name in names] for group in study.order}
        wanted = {group: lacking for group, lacking in wanted.items() if lacking}
        if wanted:
            yield number, wanted


def gathered(study: Study, rows: Mapping[str, Rows]) -> dict[str, Rows]:
    """The rows of every group over all batches."""
    return {group.name: joined([rows[f"{number}/{group.name}"]
                                for number in range(len(study.batches))])
            for group in study.space.groups}


def sample_table(name: str, unit: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
    """Means over samples; where the data tells segments apart, over each of them as well."""
    samples = gathered(study, rows)
    columns = [row for group in study.space.groups for row in samples[group.name]]
    whole = replace(table(name, unit, study.space, samples),
                    samples=tuple(zip(*columns, strict=True)))
    if any(batch.segments is None for batch in study.batches):
        return whole
    home = [int(each) for batch in study.batches for each in batch.segments]  # type: ignore[union-attr] # checked above
    parts = []
    for segment in sorted(set(home)):
        own = {group: [[value for value, part in zip(row, home, strict=True) if part == segment]
                       for row in found] for group, found in samples.items()}
        parts.append(Segment(name=str(segment), samples=home.count(segment),
                             values=table(name, unit, study.space, own).values))
    return replace(whole, segments=tuple(parts))
