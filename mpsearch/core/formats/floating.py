"""Small floating-point numbers, with free scales or in the blocks of OCP MX and NVFP4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.base import (
    Format,
    Operand,
    ScaleStorage,
    check_one_of,
    check_run_time,
)
from mpsearch.core.formats.mini_float import MiniFloat

Blocks = Literal["real", "mx", "nv"]
Exponent = Literal[0, 1, 2, 3, 4, 5, 6, 7]
FloatScale = Literal["absmax", "least_squares"]

_STORAGE: dict[Blocks, ScaleStorage] = {"real": "half", "mx": "exponent", "nv": "e4m3"}
_USUAL: dict[Blocks, str] = {"real": "channel", "mx": "group:32", "nv": "group:16"}
_IN_BLOCKS: dict[str, dict[int, tuple[int, ...]]] = {  # exponent bits, by width
    "mx": {4: (2,), 6: (2, 3), 8: (4, 5)}, "nv": {4: (2,)}}
_AT_RUN_TIME = {3: 1, 4: 2, 5: 2, 6: 3, 7: 3, 8: 4}
"""Exponent bits of a token's numbers where none are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatFormat(Format):
    """A value is ``number * scale``, where the number has a sign, exponent bits and the rest.

    *exponent* is the number of exponent bits; at 0 it is chosen for each tensor by squared error
    and stored in 8 bits (for ``token``, it is one that suits bell shapes). *blocks* says what the
    scales are: any numbers (``real``: the bias of the exponent is then a real number, as in
    LLM-FP4), powers of two (``mx``), or E4M3 numbers under one of the tensor, of an activation one
    of each token (``nv``); the last two are for ``group:N``, 32 and 16 where none is given. *scale*
    is the rule that finds scales: a search, or what the standard says. That clips nothing, but for
    the power of two of ``mx``, under which a block's largest magnitude may lose up to a quarter.

    Raises:
        BadInput: settings that do not go together.
    """

    SUMMARY: ClassVar[str] = "small floats E1M1 to E7M0: free scales, OCP MX blocks or NVFP4"
    SOURCE: ClassVar[str] = ("Liu et al., LLM-FP4, EMNLP 2023; OCP Microscaling Formats 1.0, 2023; "
                             "NVIDIA NVFP4, 2025")
    WIDTHS: ClassVar[tuple[float, ...]] = tuple(range(3, 9))
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "token", "group")

    kind: Literal["float"] = "float"
    bits: int
    exponent: Exponent = 0
    blocks: Blocks = "real"
    granularity: str = ""
    scale: FloatScale = "least_squares"

    def __post_init__(self) -> None:
        check_one_of(self.blocks, Blocks)
        check_one_of(self.scale, FloatScale)
        if not self.granularity:
            self._settle(granularity=_USUAL[self.blocks])
        Format.__post_init__(self)
        if self.blocks != "real" and self.group_size is None:
            raise BadInput(f"scales of {self.blocks} blocks are for granularity group:N, such as "
                           f"{_USUAL[self.blocks]}, not {self.granularity}")
        self._settle_exponent()
        check_run_time(self, self.scale)

    def _settle_exponent(self) -> None:
        known = self._exponents
        if not known:
            widths = " or ".join(map(str, _IN_BLOCKS[self.blocks]))
            raise BadInput(f"{self.blocks} blocks have no {self.bits} bits: use {widths}")
        if self.exponent not in (0, *known):
            raise BadInput(f"{self.bits} bits with {self.blocks} scales have an exponent of "
                           f"{' or '.join(map(str, known))} bits, not {self.exponent}")
        if not self.exponent and (self.dynamic or len(known) == 1):
            only = _AT_RUN_TIME[self.bits] if self.dynamic else known[0]
            self._settle(exponent=only)

    @property
    def _exponents(self) -> tuple[int, ...]:
        if self.blocks == "real":
            return tuple(range(1, self.bits))
        return _IN_BLOCKS[self.blocks].get(self.bits, ())

    @classmethod
    def usual(cls, operand: Operand, given: Mapping[str, Any]) -> dict[str, Any]:
        """Weights as the blocks need it; activations with one calibrated scale.

        A token's scale is its largest magnitude, and activations in blocks are as the standard
        says, since nothing can be searched while the model runs.
        """
        if given.get("granularity") == "token":
            return {"scale": "absmax"}
        if operand == "weight":
            return {}
        if given.get("blocks", "real") == "real":
            return {} if "granularity" in given else {"granularity": "tensor"}
        chosen = len(_IN_BLOCKS[given["blocks"]].get(given.get("bits", 0), ())) > 1
        return {"scale": "absmax", **({"exponent": _AT_RUN_TIME[given["bits"]]} if chosen else {})}

    def require(self, operand: Operand) -> None:
        """Check that a tensor that is this *operand* can be in this format.

        Raises:
            BadInput: it cannot; or it is an activation, and there would be something to search for
                at run time.
        """
        Format.require(self, operand)
        if operand == "weight" or self.group_size is None:
            return
        if self.blocks == "real":
            raise BadInput(f"{operand} cannot have the format {self}: groups of activations need "
                           "blocks mx or nv, since real scales are searched for")
        if self.scale != "absmax" or len(self.candidates) > 1:
            raise BadInput("nothing is searched at run time: activations in blocks need scale "
                           f"absmax and an exponent ({operand} has {self})")

    def at_width(self, bits: float) -> Self:
        """The same with so many *bits*, and an exponent that suits them."""
        return replace(self, bits=int(bits), exponent=0)

    @property
    def candidates(self) -> tuple[MiniFloat, ...]:
        """The numbers that a tensor may be in; which one it is, is stored if they are several."""
        chosen = (self.exponent,) if self.exponent else self._exponents
        return tuple(MiniFloat(exponent=e, mantissa=self.bits - 1 - e) for e in chosen)

    @property
    def scale_storage(self) -> ScaleStorage:
        """As the blocks say."""
        return _STORAGE[self.blocks]

    def tables(self, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """Which of the candidates it is, if there are several."""
        del shape
        return {"table": (1, 8)} if len(self.candidates) > 1 else {}

    def __str__(self) -> str:
        blocks = "" if self.blocks == "real" else self.blocks
        numbers = str(self.candidates[0]) if self.exponent else ""
        name = "-".join(filter(None, [blocks, numbers])) or "float"
        return f"{self.bits}{name}/{self.granularity}"
