"""What a number format is: what the numbers of one tensor are, and what they weigh when stored."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.words import granularity_names, widths_text

Operand = Literal["weight", "input", "other"]
ScaleStorage = Literal["half", "exponent", "e4m3"]
"""How a scale is stored: 16 bits under an 8-bit exponent of the tensor; a power of two in 8 bits;
or 8 bits E4M3 under one 32-bit scale of the tensor."""

ANY_FORMAT = {"$comment": "any format"}
"""What stands in a JSON Schema where the schema of all formats belongs."""

_GRANULARITY = re.compile(r"tensor|channel|token|group:[1-9][0-9]*")
_SCALE_BITS: dict[ScaleStorage, tuple[int, int]] = {  # each, and once a tensor
    "half": (16, 8), "exponent": (8, 0), "e4m3": (8, 32)}
HALF = 16
"""Bits of a level that is read from a table before it is multiplied."""
_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A number format; each kind of it is a frozen dataclass that derives from this one.

    *kind* names it, and its quantizer. *bits* is its width, the bits of a code for each number.
    *granularity* says which numbers share a scale: the whole ``tensor``; one output ``channel`` of
    a weight; ``group:N``, runs of N inside a channel (the last run may be shorter); or one
    ``token``, computed anew for every vector at run time.

    A kind states its OPERANDS, a one-line SUMMARY, its SOURCE and its WIDTHS. Its settings are its
    fields. *bits* become the equal one of WIDTHS, so that 4 and 4.0 are one format.

    Raises:
        BadInput: a setting is out of its range.
    """

    OPERANDS: ClassVar[tuple[Operand, ...]] = ("weight", "input", "other")
    SUMMARY: ClassVar[str] = ""
    SOURCE: ClassVar[str] = ""
    ZERO: ClassVar[bool] = True
    """Whether 0 has a code in tensors that this kind is meant for."""
    EQUIVARIANT: ClassVar[bool] = True
    """Whether values follow numbers that are scaled by a power of two."""
    DECODED: ClassVar[bool] = False
    """Whether codes are decoded to half precision before they are multiplied."""
    COLUMNWISE: ClassVar[bool] = True
    """Whether one number can be rounded without knowing the numbers beside it."""
    WIDTHS: ClassVar[tuple[float, ...]] = ()
    """The widths there are."""
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "channel", "group", "token")
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "token")

    kind: str
    bits: float
    granularity: str = "tensor"

    def __post_init__(self) -> None:
        if self.bits not in self.WIDTHS:
            raise BadInput(f"the format {self.kind} has {widths_text(self.WIDTHS)} bits, not "
                           f"{self.bits:g}")
        self._settle(bits=self.WIDTHS[self.WIDTHS.index(self.bits)])
        if not is_granularity(self.granularity):
            raise BadInput(f"unknown granularity '{self.granularity}': use "
                           f"{_granularities(self.GRANULARITIES)}")
        if self.granularity.partition(":")[0] not in self.GRANULARITIES:
            raise BadInput(f"the format {self.kind} has no granularity '{self.granularity}': use "
                           f"{_granularities(self.GRANULARITIES)}")

    @classmethod
    def usual(cls, operand: Operand, given: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that a format for *operand* mostly has beside those *given*.

        Where they are the defaults they may be left out.
        """
        if "granularity" in given:
            return {}
        most = "channel" if operand == "weight" else "tensor"
        return {"granularity": most if most in cls.GRANULARITIES else cls.GRANULARITIES[0]}

    @classmethod
    def granularities(cls, operand: Operand) -> tuple[str, ...]:
        """The granularities that *operand* can have, without the N of group:N.

        None if it is not what this kind is for.
        """
        if operand not in cls.OPERANDS:
            return ()
        if operand != "weight":
            return cls.ACTIVATION_GRANULARITIES
        return tuple(name for name in cls.GRANULARITIES if name != "token")

    def at_width(self, bits: float) -> Self:
        """The same format with so many *bits*.

        Raises:
            BadInput: it cannot have them.
        """
        return replace(self, bits=bits)

    def require(self, operand: Operand) -> None:
        """Check that a tensor that is this *operand* can be in this format.

        Raises:
            BadInput: it cannot.
        """
        known = self.granularities(operand)
        if not known:
            raise BadInput(f"{self} is a format for {' or '.join(self.OPERANDS)}, not for "
                           f"{operand}")
        if self.granularity.partition(":")[0] not in known:
            raise BadInput(f"{operand} cannot have the format {self}: its granularity can be "
                           f"{_granularities(known)}")

    def _settle(self, **settings: Any) -> None:
        """Set fields while the format is made: what they mean, or what follows from the others."""
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    @property
    def group_size(self) -> int | None:
        """Elements that share a scale inside a channel, or None where groups are not used."""
        head, _, size = self.granularity.partition(":")
        return int(size) if head == "group" else None

    @property
    def dynamic(self) -> bool:
        """Whether the scale is computed at run time instead of calibrated once."""
        return self.granularity == "token"

    @property
    def calibrated(self) -> bool:
        """Whether an activation in this format has one scale that is found beforehand."""
        return self.granularity == "tensor"

    @property
    def columnwise(self) -> bool:
        """Whether one number can be rounded without knowing the numbers beside it."""
        return self.COLUMNWISE

    @property
    def arithmetic_bits(self) -> float:
        """The width that a multiplication sees."""
        return HALF if self.DECODED else self.bits

    @property
    def code_bits(self) -> int:
        """Stored bits of one code, which may stand for several numbers."""
        return math.ceil(self.bits)

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code, both included."""
        return 0, (1 << self.code_bits) - 1

    @property
    def scale_storage(self) -> ScaleStorage:
        """How scales are stored."""
        return "half"

    @property
    def zero_point_bits(self) -> int:
        """Stored bits of one zero point, whole bytes; 0 where there is none."""
        return 0

    @property
    def numberwise(self) -> bool:
        """Whether every number has a code of its own: where a kind counts no codes itself."""
        return type(self).codes is Format.codes

    def codes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows of codes of a weight of this *shape* (output channels first), and codes in each."""
        return rows_of(shape)

    def slices(self, shape: tuple[int, ...]) -> int:
        """Number of scales of a weight of this *shape*."""
        rows, row_length = rows_of(shape)
        if self.group_size is not None:
            return rows * math.ceil(row_length / self.group_size)
        return 1 if self.granularity == "tensor" else rows

    def tables(self, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """What is stored beside codes, scales and zero points: how many numbers of how many bits.

        For a weight of this *shape*, by name.
        """
        del shape
        return {}

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        """Bits a weight of this *shape* takes on disk: codes, scales, tables and padding.

        Codes are dense within a row and a row ends on a byte.
        """
        rows, length = self.codes(shape)
        each, once = _SCALE_BITS[self.scale_storage]
        scales = self.slices(shape) * (each + self.zero_point_bits) + once
        tables = sum(count * bits for count, bits in self.tables(shape).values())
        return rows * round_up(length * self.code_bits, _BYTE) + scales + tables

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """How data becomes a format: this base by its kind, each kind by its fields."""
        if cls is not Format:
            return handler(source)
        from pydantic_core import core_schema

        from mpsearch.core.formats import registry

        return core_schema.no_info_plain_validator_function(
            registry.read_field, serialization=core_schema.plain_serializer_function_ser_schema(
                registry.write))

    @classmethod
    def __get_pydantic_json_schema__(cls, source: Any, handler: Any) -> Any:
        """The JSON Schema: that of a kind, or for this base a mark where that of all belongs."""
        if cls is Format:
            return dict(ANY_FORMAT)
        made = handler(source)
        for each in made.get("properties", {}).values():
            if each.get("default") == "":  # what follows from other settings has no one default
                del each["default"]
        return made

    @property
    def key(self) -> str:
        """A name that no other format has."""
        settings = (f"{each.name}={getattr(self, each.name)}" for each in fields(self))
        return " ".join(settings)

    def __str__(self) -> str:
        return f"{self.bits:g}{self.kind}/{self.granularity}"


def rows_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Output channels of a weight, and elements in each."""
    return shape[0], math.prod(shape[1:])


def is_granularity(text: str) -> bool:
    """Whether *text* is the name of a granularity."""
    return _GRANULARITY.fullmatch(text) is not None


def round_up(value: int, multiple: int) -> int:
    """The least multiple of *multiple* that is not below *value*."""
    return -(-value // multiple) * multiple


def check_one_of(value: object, known: Any) -> None:
    """Refuse a *value* that is not one of those of the Literal type *known*.

    Raises:
        BadInput: it is not.
    """
    if value not in get_args(known):
        raise BadInput(f"'{value}' is not one of {', '.join(map(str, get_args(known)))}")


def check_run_time(fmt: Format, rule: str) -> None:
    """Refuse a *rule* that searches for the scales of tokens.

    Raises:
        BadInput: the scales of *fmt* are found at run time, and not by ``absmax``.
    """
    if fmt.dynamic and rule != "absmax":
        raise BadInput("nothing is searched at run time: granularity token needs scale absmax, "
                       f"not {rule}")


def _granularities(known: tuple[str, ...]) -> str:
    named = granularity_names(known)
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
