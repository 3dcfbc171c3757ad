"""What probe estimators share that score each group by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import ScoreTable
    from mpsearch.sensitivity.study import Rows, Study


class EachGroup:
    """A unit for each batch and group, and means over samples."""

    __slots__ = ()
    unit: ClassVar[str]

    def units(self, study: Study) -> list[str]:
        """One a batch and group."""
        from mpsearch.sensitivity.units import sample_units

        return sample_units(study)

    def table(self, name: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
        """Means over samples."""
        from mpsearch.sensitivity.units import sample_table

        return sample_table(name, self.unit, study, rows)
