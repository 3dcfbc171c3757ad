"""What a prepared model leaves in the workspace, enough to allocate without loading it again."""

from __future__ import annotations

from dataclasses import dataclass, field

from mpsearch.core.types import ModelRef, SearchSpace, StaticRange


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """The resolved space of a model, its calibrated ranges, and what the user should know.

    *other_bytes* is what a file of the model has beside quantisable weights: its other tensors,
    and a header with room for any policy of the space. *ranges* is by layer,
    operand and format. *data_digest* is that of the calibration data, empty if there was none.
    """

    model: ModelRef
    space: SearchSpace
    other_bytes: int
    data_digest: str
    ranges: dict[str, dict[str, dict[str, StaticRange]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
