"""Weights as the kernels read them: panels of 64 output channels, units of 8 inputs, bit planes.

The layout is that of `csrc/layout.h`, which describes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.kernels.gpu import layout

PANEL, UNIT = 64, 8
BITS = range(2, 9)
_QUARTER = 16
_LARGEST_ACTIVATION = 255  # |code - zero point| of 8 bits
_INT32 = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedWeight:
    """A weight [outputs, inputs] of *bits* (2 to 8) bits a code, and what its codes mean.

    *stream* holds the codes, uint8, panels * groups * units * 64 * bits bytes; on a GPU they are
    int32 in the layout of `mpsearch.kernels.gpu.layout`. *scale* (float32), *zero* (int32, counted
    like the unsigned codes in the stream) and *sums* (int32, the sum of
    codes less zero point) are [panels, groups, 64], filled up with 0. *group* is the run of inputs
    that share a scale; *inputs* where there is one run.
    """

    stream: Tensor
    scale: Tensor
    zero: Tensor
    sums: Tensor
    bits: int
    outputs: int
    inputs: int
    group: int

    @classmethod
    def of(cls, codes: Tensor, scale: Tensor, zero: Tensor | None = None, *, bits: int,
           first: int, group: int | None = None) -> Self:
        """Pack integer *codes* [outputs, inputs] from *first* to first + 2**bits - 1.

        A weight is (code - zero) * scale. *scale* and *zero* hold a number for the whole weight,
        for each output, or for each run of *group* inputs in each output, outputs first; the last
        run may be shorter. No *zero* is zero points of 0.

        Raises:
            BadInput: bits that there are no kernels for, codes or zero points out of range, or
                scales that do not fit.
            Unsupported: so many inputs that an int32 sum might overflow.
        """
        if bits not in BITS:
            raise BadInput(f"there are kernels for weights of 2 to 8 bits, not {bits}")
        outputs, inputs = codes.shape
        if not outputs or not inputs:
            raise BadInput(f"a weight of shape {tuple(codes.shape)} has nothing to multiply")
        own = group if group is not None and 0 < group < inputs else inputs
        check_sums(own, bits)
        runs = -(-inputs // own)
        last = first + (1 << bits) - 1
        place, codes, scale = codes.device, codes.cpu(), scale.cpu()
        zero = torch.zeros(1, dtype=torch.int32) if zero is None else zero.cpu()
        _check_within(codes, first, last, "codes")
        _check_within(zero, first, last, "zero points")
        zeros = _per_run(zero, outputs, runs).to(torch.int32) - first
        padded = _in_units(codes.to(torch.int32) - first, own, runs)
        lengths = torch.full((runs,), own, dtype=torch.int32)
        lengths[-1] = inputs - own * (runs - 1)
        sums = padded.sum((-1, -2), dtype=torch.int32) - zeros * lengths
        made = cls(stream=_stream(padded.to(torch.uint8), bits),
                   scale=_panels(_per_run(scale, outputs, runs).float()), zero=_panels(zeros),
                   sums=_panels(sums), bits=bits, outputs=outputs, inputs=inputs, group=own)
        return made.to(place)

    def to(self, place: torch.device | str) -> Self:
        """This weight on another device, in the layout that its kernels read.

        Raises:
            Unsupported: there are no integer kernels for the device.
        """
        kind = torch.device(place).type
        if kind not in {"cpu", "cuda"}:
            raise Unsupported(f"there are no integer kernels for the device '{place}': move the "
                              "model to the CPU or to an NVIDIA or AMD GPU")
        own = self.in_words() if kind == "cuda" else self._in_panels()
        return replace(own, **{name: getattr(own, name).to(place)
                               for name in ("stream", "scale", "zero", "sums")})

    def in_words(self) -> Self:
        """This weight in the layout of GPU kernels, where it is."""
        if self.stream.dtype == torch.int32:
            return self
        return replace(self, stream=layout.words_of(self._unsigned(), self.bits, self.group))

    @property
    def groups(self) -> int:
        """Runs of inputs that have a scale of their own."""
        return self.scale.shape[1]

    def _in_panels(self) -> Self:
        if self.stream.dtype == torch.uint8:
            return self
        codes = _in_units(self._unsigned(), self.group, self.groups)
        return replace(self, stream=_stream(codes.to(torch.uint8), self.bits))

    def of_group(self, number: int) -> Self:
        """The weight of one run of inputs, with its scales."""
        if self.groups == 1:
            return self
        own, first = self._in_panels(), number * self.group
        inputs = min(self.group, self.inputs - first)
        runs = own.stream.view(len(self.scale), self.groups, -1, own.bits * PANEL)
        one = {name: getattr(self, name)[:, number: number + 1].contiguous()
               for name in ("scale", "zero", "sums")}
        made = replace(own, stream=runs[:, number, : -(-inputs // UNIT)].reshape(-1),
                       inputs=inputs, group=inputs, **one)
        return made if self.stream.dtype == torch.uint8 else made.in_words()

    def run(self, number: int) -> slice:
        """Where that run is among the inputs."""
        return slice(number * self.group, min((number + 1) * self.group, self.inputs))

    def steps(self) -> Tensor:
        """Codes less their zero points, int32 [outputs, inputs]."""
        zeros = self._rows(self.zero)[: self.outputs].repeat_interleave(self.group, 1)
        return self._unsigned() - zeros[:, : self.inputs]

    def _unsigned(self) -> Tensor:
        """Codes as they are packed, int32 [outputs, inputs]."""
        runs, units = self.groups, -(-self.group // UNIT)
        if self.stream.dtype == torch.int32:
            found = layout.codes_of(self.stream, self.bits, self.group, runs)
        else:
            codes = _codes(self.stream, self.bits, runs, units)
            found = codes[:, :, : self.group].flatten(1)
        return found[: self.outputs, : self.inputs]

    def scales(self) -> Tensor:
        """Scales, float32 [outputs, groups]."""
        return self._rows(self.scale)[: self.outputs]

    def _rows(self, table: Tensor) -> Tensor:
        return table.transpose(1, 2).reshape(-1, self.groups)


def longest(bits: int) -> int:
    """The most terms whose sums with weights of so many *bits* always fit int32; whole units."""
    return (_INT32 - 1) // (_LARGEST_ACTIVATION * ((1 << bits) - 1)) // UNIT * UNIT


def check_sums(terms: int, bits: int) -> None:
    """Refuse sums of so many *terms* of *bits*-bit weights that they might not fit int32.

    A term is at most 255 * (2**bits - 1): zero points are codes, so neither factor is more.

    Raises:
        Unsupported: they might not.
    """
    most = longest(bits)
    if terms > most:
        raise Unsupported(f"a sum of {terms} products with {bits}-bit weights may not fit 32 bits: "
                          f"use groups of at most {most} inputs")


def _check_within(x: Tensor, first: int, last: int, what: str) -> None:
    if x.numel() and not first <= int(x.min()) <= int(x.max()) <= last:
        raise BadInput(f"{what} from {int(x.min())} to {int(x.max())} where a weight has those "
                       f"from {first} to {last}")


def _per_run(table: Tensor, outputs: int, runs: int) -> Tensor:
    if table.numel() == outputs * runs:
        return table.detach().reshape(outputs, runs)
    if table.numel() not in {1, outputs}:
        raise BadInput(f"{table.numel()} scales or zero points for {outputs} outputs with {runs} "
                       "groups each: give one, one an output, or one a group")
    return table.detach().reshape(-1, 1).expand(outputs, runs)


def _panels(table: Tensor) -> Tensor:
    """[outputs, runs] as [panels, runs, 64], filled up with 0."""
    outputs, runs = table.shape
    panels = -(-outputs // PANEL)
    full = table.new_zeros((panels * PANEL, runs))
    full[:outputs] = table
    return full.view(panels, PANEL, runs).transpose(1, 2).contiguous()


def _in_units(codes: Tensor, group: int, runs: int) -> Tensor:
    """[outputs, inputs] as [outputs, runs, units, 8], filled up with 0."""
    outputs, inputs = codes.shape
    units = -(-group // UNIT)
    grouped = codes.new_zeros((outputs, runs * group))
    grouped[:, :inputs] = codes
    full = codes.new_zeros((outputs, runs, units * UNIT))
    full[:, :, :group] = grouped.view(outputs, runs, group)
    return full.view(outputs, runs, units, UNIT)


def _planes(bits: int) -> list[tuple[int, int, int]]:
    """(bits of a plane, where it starts in a code, and in a unit's bytes)."""
    found, at, place = [], 0, 0
    for own in (8, 4, 2, 1):
        if bits & own:
            found.append((own, at, place))
            at, place = at + own, place + own * 64
    return found


def _places(own: int, half: int, quarter: int) -> tuple[int, int]:
    """Which 64 bytes of a plane of *own* bits, and the shift there."""
    return {8: (4 * half + quarter, 0), 4: (quarter, 4 * half),
            2: (quarter // 2, 2 * (2 * half + quarter % 2)), 1: (0, 4 * half + quarter)}[own]


def _stream(codes: Tensor, bits: int) -> Tensor:
    """Unsigned codes [outputs, runs, units, 8] as the packed stream."""
    outputs, runs, units, _ = codes.shape
    panels = -(-outputs // PANEL)
    full = codes.new_zeros((panels * PANEL, runs, units, UNIT))
    full[:outputs] = codes
    # panel, quarter, channel, run, unit, half, four -> panel, run, unit, half, quarter, 64 bytes
    cut = full.view(panels, 4, _QUARTER, runs, units, 2, 4).permute(0, 3, 4, 5, 1, 2, 6)
    cut = cut.reshape(panels, runs, units, 2, 4, 64)
    stream = codes.new_zeros((panels, runs, units, bits * 64))
    for own, at, place in _planes(bits):
        for half in range(2):
            for quarter in range(4):
                where, shift = _places(own, half, quarter)
                part = cut[..., half, quarter, :] >> at & (1 << own) - 1
                start = place + where * 64
                stream[..., start : start + 64] |= part << shift
    return stream.reshape(-1)


def _codes(stream: Tensor, bits: int, runs: int, units: int) -> Tensor:
    """The unsigned codes of a stream, int32 [panels * 64, runs, units * 8]."""
    cut = stream.view(-1, runs, units, bits * 64)
    panels = cut.shape[0]
    codes = stream.new_zeros((panels, runs, units, 2, 4, 64))
    for own, at, place in _planes(bits):
        for half in range(2):
            for quarter in range(4):
                where, shift = _places(own, half, quarter)
                start = place + where * 64
                part = cut[..., start : start + 64] >> shift & (1 << own) - 1
                codes[..., half, quarter, :] |= part << at
    back = codes.view(panels, runs, units, 2, 4, _QUARTER, 4).permute(0, 4, 5, 1, 2, 3, 6)
    return back.reshape(panels * PANEL, runs, units * UNIT).to(torch.int32)


def decoded(stream: Tensor, table: Tensor) -> Tensor:
    """A stream of bytes: those of *table*, uint8 [2**bits], at the codes of *stream*."""
    bits = len(table).bit_length() - 1
    codes = table[_codes(stream, bits, 1, len(stream) // (64 * bits)).long()]
    return _stream(codes.view(PANEL, 1, -1, UNIT), 8)
