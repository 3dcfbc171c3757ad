"""What the command line prints and writes: results as one JSON object or as tables."""

from mpsearch.shell.files import write_front, write_result
from mpsearch.shell.lists import quantizers, spaces
from mpsearch.shell.measured import measured_data, measured_tables
from mpsearch.shell.packed import (
    packed_data,
    packed_tables,
    packing_data,
    packing_notes,
    packing_tables,
    require_one_source,
)
from mpsearch.shell.profiles import imported, profiled
from mpsearch.shell.reasons import diff_data, diff_tables, explained, pinned
from mpsearch.shell.results import front_data, front_tables, result_data, result_tables
from mpsearch.shell.runs import timed_data, timed_tables
from mpsearch.shell.terminal import answer, fail, notes, parse_bytes, workers

__all__ = [
    "answer", "diff_data", "diff_tables", "explained", "fail",
    "front_data", "front_tables", "imported", "measured_data", "measured_tables", "notes",
    "packed_data", "packed_tables", "packing_data", "packing_notes", "packing_tables",
    "parse_bytes", "pinned", "profiled", "quantizers", "require_one_source",
    "result_data", "result_tables", "spaces", "timed_data", "timed_tables", "workers",
    "write_front", "write_result",
]
