"""Menus: the formats an operand may take, from a TOML table or a list of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from itertools import product
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format, IntFormat, Operand, is_granularity, registry
from mpsearch.core.formats.words import granularity_names
from mpsearch.spaces.rules import Menu
from mpsearch.spaces.values import (
    Place,
    as_list,
    check_keys,
    number,
    one_of,
    switch,
    text,
    whole,
)


def read_menu(value: Any, place: Place, *, operand: Operand) -> Menu:
    """The formats of one table or a list of them, all combinations, in the order written.

    An empty list is an empty menu: the operand stays in float.

    Raises:
        BadInput: an unknown key, or a value that does not fit the operand.
    """
    if value == []:
        return ()
    formats = [fmt for entry in as_list(value, place) for fmt in _entry(entry, place, operand)]
    return tuple(dict.fromkeys(formats))


def default_format(bits: float, operand: Operand) -> IntFormat:
    """The integer format an entry has where it gives no more than its *bits*.

    Raises:
        BadInput: integers do not have this width.
    """
    return IntFormat(**{"bits": bits, **IntFormat.usual(operand, {})})


def _entry(entry: Any, place: Place, operand: Operand) -> list[Format]:
    if not isinstance(entry, dict):
        raise place.error(f"expected a table such as {{ bits = [4, 8] }}, not {entry!r}")
    kind = text(entry.get("kind", "int"), place.at("kind"))
    if kind not in registry.BUILTIN:  # only then are installed packages searched for it
        kind = one_of(kind, registry.kinds(), place.at("kind"))
    cls = registry.format_class(kind)
    if not cls.granularities(operand):
        raise place.at("kind").error(f"'{kind}' is for {' or '.join(cls.OPERANDS)}, not for "
                                     f"{operand}")
    settings = [each for each in fields(cls) if each.name != "kind"]
    check_keys(entry, ["kind", *(each.name for each in settings)], place)
    if "bits" not in entry:
        raise place.error("no bits: give a width or a list of widths, such as bits = [4, 8]")
    given = {key: _values(cls, key, entry[key], place.at(key), operand)
             for key in (each.name for each in settings) if key in entry}
    rows = [dict(zip(given, row, strict=True)) for row in product(*given.values())]
    return [_format(cls, row, place, operand, alone=len(rows) == 1) for row in rows]


def _format(cls: type[Format], given: dict[str, Any], place: Place, operand: Operand, *,
            alone: bool) -> Format:
    try:
        return _made(cls, given, operand)
    except BadInput as error:
        hint = "" if alone else (" (lists are combined, each value with each: give what does not "
                                 "go together in tables of its own)")
        raise _culprit(cls, given, place, operand).error(f"{error}{hint}") from error


def _made(cls: type[Format], given: Mapping[str, Any], operand: Operand) -> Format:
    return cls(**{**cls.usual(operand, given), **given})


def _culprit(cls: type[Format], given: Mapping[str, Any], place: Place, operand: Operand) -> Place:
    """The one setting without which the rest would do, or the whole menu."""
    found = []
    for key in given.keys() - {"bits"}:
        try:
            _made(cls, {name: value for name, value in given.items() if name != key}, operand)
        except BadInput:
            continue
        found.append(key)
    if len(found) > 1:
        return place
    return place.at(found[0] if found else "bits")


def _values(cls: type[Format], key: str, value: Any, place: Place, operand: Operand) -> list[Any]:
    if key == "granularity":
        return [_granularity(text(item, place), place, cls, operand)
                for item in as_list(value, place)]
    read = _reader(get_type_hints(cls)[key], place)
    return [read(item) for item in as_list(value, place)]


def _reader(kind: Any, place: Place) -> Any:
    """What reads a value of this type."""
    if get_origin(kind) is Literal:
        named = {str(each): each for each in get_args(kind)}
        return lambda value: named[one_of(str(value), named, place)]
    readers: dict[Any, Any] = {bool: switch, int: whole, float: number, str: text}
    if kind not in readers:
        raise place.error("this setting cannot be given in a file: its kind of format makes it of "
                          "a type that is none of true or false, number or text")
    return partial(readers[kind], place=place)


def _granularity(value: str, place: Place, cls: type[Format], operand: Operand) -> str:
    """*value*, if it is a granularity that this operand can have."""
    named = cls.granularities(operand)
    if value.partition(":")[0] in named and is_granularity(value):
        return value
    if operand != "weight":
        return one_of(value, granularity_names(named), place)
    shown = ", ".join(granularity_names(named))
    raise place.error(f"'{value}' is no granularity of a weight: use {shown}"
                      + (", such as group:128" if "group" in named else ""))
