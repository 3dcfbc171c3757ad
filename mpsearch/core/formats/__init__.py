"""Number formats: what the numbers of one tensor are, and what they weigh when stored."""

from mpsearch.core.formats.base import Format, Operand, is_granularity, rows_of
from mpsearch.core.formats.integer import IntFormat, ScaleRule

__all__ = ["Format", "IntFormat", "Operand", "ScaleRule", "is_granularity",
           "rows_of"]
