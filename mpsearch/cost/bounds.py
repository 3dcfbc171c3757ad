"""What keeps an operation from being faster: arithmetic, memory, or the cost of starting it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mpsearch.core.flow import Piece
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.types import LayerSpec, Scheme
from mpsearch.cost.size import stored_bits

Bound = Literal["compute", "bandwidth", "overhead"]
_BUSY = 0.25
"""An operation that neither computes nor reads for this share of its time is mostly started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a table's machine reaches: operations and bytes, 1e9 of them a second."""

    gops: float
    gbytes: float

    def of(self, operations: float, moved: float, milliseconds: float) -> Bound:
        """What bounds so many *operations* on so many bytes that take this long.

        Arithmetic if its intensity (operations a byte) is at least the machine's own, else memory;
        neither where both together explain little of the time.
        """
        computing, reading = operations / self.gops * 1e-6, moved / self.gbytes * 1e-6
        if max(computing, reading) < _BUSY * milliseconds:
            return "overhead"
        return "compute" if computing >= reading else "bandwidth"


def limits_of(table: MachineTable, threads: int, work: dict[tuple[str, str], float],
              ) -> Limits | None:
    """The best rates known on so many *threads*; None where no peak was measured.

    *work* is the operations of one sample by operation and shape: where a timed layer is faster
    than the measured peak (its operands are narrower), that is the peak.
    """
    peak = next((each for each in table.peaks if each.threads == threads), None)
    if peak is None:
        return None
    reached = [_rate(row, work.get((row.operation, row.shape), 0.0)) for row in table.rows
               if row.threads == threads]
    return Limits(gops=max([peak.gflops, *reached]), gbytes=peak.gbytes)


def bytes_moved(piece: Piece, layer: LayerSpec, scheme: Scheme, *, batch: int,
                packed: bool) -> float:
    """Bytes that one run of *layer* reads and writes: its weights once, activations in float."""
    bits = stored_bits(layer, scheme) if packed else layer.weights * layer.float_bits
    return bits / 8 + batch * (piece.inputs + piece.outputs) * layer.float_bits / 8


def _rate(row: Timing, operations: float) -> float:
    return operations * row.batch / row.milliseconds * 1e-6 if row.milliseconds else 0.0
