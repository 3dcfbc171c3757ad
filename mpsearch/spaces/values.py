"""Readers of single TOML values: each returns what it should be, or says where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from mpsearch.core.errors import BadInput

_WIDEST = 16
_SLICE = re.compile(r"(-?[0-9]+)?:(-?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file a value stands, for messages: the file, the rule's number and the key."""

    source: str
    rule: int | None = None
    key: str = ""

    def at(self, key: str) -> Place:
        """The place of *key* inside this one."""
        return replace(self, key=f"{self.key}.{key}" if self.key else key)

    def error(self, message: str) -> BadInput:
        """An error that names this place; the caller raises it."""
        rule = f"rule {self.rule}" if self.rule is not None else ""
        return BadInput(": ".join(part for part in (self.source, rule, self.key, message) if part))


def check_keys(table: Mapping[str, Any], known: Iterable[str], place: Place) -> None:
    """Refuse a key that is not *known*, and suggest the closest one."""
    known = list(known)
    for key in table:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            advice = f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(known)}"
            raise place.error(f"unknown key '{key}': {advice}")


def one_of(value: Any, known: Iterable[str], place: Place) -> str:
    """A string out of *known*."""
    known = list(known)
    if value in known:
        return str(value)
    close = get_close_matches(str(value), known, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    raise place.error(f"{_shown(value)} is not one of {', '.join(known)}{hint}")


def text(value: Any, place: Place) -> str:
    """A string that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise place.error(f"expected a string, not {_shown(value)}")


def texts(value: Any, place: Place) -> tuple[str, ...]:
    """One string or a list of them."""
    return tuple(text(item, place) for item in as_list(value, place))


def switch(value: Any, place: Place) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise place.error(f"expected true or false, not {_shown(value)}")


def whole(value: Any, place: Place) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        noun = "a whole number of bits" if place.key.endswith("bits") else "a whole number"
        raise place.error(f"expected {noun}, not {_shown(value)}")
    return value


def number(value: Any, place: Place) -> float:
    """A number, whole or not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.error(f"expected a number, not {_shown(value)}")
    return value


def width(value: Any, place: Place) -> float:
    """A number of bits that some format may have."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.error(f"expected a number of bits, not {_shown(value)}")
    found: float = value
    if not 1 <= found <= _WIDEST:
        raise place.error(f"a width has 1 to {_WIDEST} bits, not {_shown(value)}")
    return found


def position(value: Any, place: Place) -> int | str:
    """A place in the order of execution: first, last, an index, or a slice such as ``-2:``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (value in ("first", "last") or _SLICE.fullmatch(value)):
        return value
    raise place.error(f'{_shown(value)} is no position: use "first", "last", an index, '
                      'or a slice such as "0:4" or "-2:"')


def as_list(value: Any, place: Place) -> list[Any]:
    """A list as it is, anything else as a list of one; an empty list is refused."""
    if value == []:
        raise place.error("the list is empty: give at least one value or leave the key out")
    return value if isinstance(value, list) else [value]


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
