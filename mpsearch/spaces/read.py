"""From a TOML file to a `Space`: the grammar of search_spaces/README.md."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.core.types import OPERANDS, Kind
from mpsearch.spaces.menus import read_menu
from mpsearch.spaces.rules import Rule, Space
from mpsearch.spaces.shipped import shipped
from mpsearch.spaces.subnets import read_subnets
from mpsearch.spaces.values import (
    Place,
    check_keys,
    one_of,
    position,
    switch,
    text,
    texts,
    width,
)

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_MATCHERS = ("kind", "layer", "position")
_AGAINST_FLOAT = ("weight", "input", "other", "pin", "include_float", "min_bits", "max_bits")


def load_space(name_or_path: str) -> Space:
    """Read a shipped search space by name, or any other by the path of its TOML file.

    Raises:
        UnknownName: neither a shipped name nor a file.
        BadInput: the file cannot be read or is not a search space.
    """
    path = shipped().get(name_or_path) or Path(name_or_path)
    looks_like_path = path.suffix == ".toml" or len(path.parts) > 1
    if not looks_like_path and not path.is_file():
        raise UnknownName("search space", name_or_path, list(shipped()))
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read the search space {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}: correct the file") from error
    return parse_space(data, source=str(path))


def parse_space(data: dict[str, Any], *, source: str) -> Space:
    """Check the content of a TOML file, named *source* in messages, and give it its types.

    Raises:
        BadInput: an unknown key, or a value that does not fit; names file, rule and key.
    """
    place = Place(source=source)
    check_keys(data, ("name", "description", "rule", "subnet"), place)
    tables = data.get("rule", [])
    if not isinstance(tables, list) or not (tables or data.get("subnet")):
        raise place.at("rule").error("a search space needs at least one [[rule]] table")
    return Space(
        name=text(data.get("name", Path(source).stem), place.at("name")),
        description=text(data["description"], place.at("description"))
        if "description" in data else "",
        rules=tuple(_rule(table, Place(source=source, rule=number))
                    for number, table in enumerate(tables, start=1)),
        source=source, subnets=read_subnets(data.get("subnet", []), place),
    )


def _rule(table: Any, place: Place) -> Rule:
    if not isinstance(table, dict):
        raise place.error(f"expected a [[rule]] table, not {table!r}")
    check_keys(table, _READERS, place)
    values = {key: _READERS[key](value, place.at(key)) for key, value in table.items()}
    rule = Rule(number=place.rule or 0, **values)
    _check_together(rule, place)
    return rule


def _check_together(rule: Rule, place: Place) -> None:
    """Refuse keys that are fine alone but not in one rule."""
    given = [key for key in _READERS if getattr(rule, key) is not None]
    if not set(given) - set(_MATCHERS):
        raise place.error("sets nothing: add a menu, pin, float, min_bits, max_bits or tie")
    if rule.float and (clash := [key for key in _AGAINST_FLOAT if key in given]):
        raise place.at(clash[0]).error("has no meaning beside float = true: drop one of the two")
    if rule.pin is not None and rule.weight is not None:
        raise place.at("pin").error("stands beside weight: give weight = { bits = ... } alone, or "
                                    "pin in a later rule")
    if rule.min_bits and rule.max_bits and rule.min_bits > rule.max_bits:
        raise place.at("min_bits").error(f"{rule.min_bits} is above max_bits = {rule.max_bits}")
    for key in ("weight", "input", "other"):
        if key in given and rule.kind and not any(key in OPERANDS[kind] for kind in rule.kind):
            raise place.at(key).error(f"a layer of kind {' or '.join(rule.kind)} has no {key}")


def _kinds(value: Any, place: Place) -> tuple[Kind, ...]:
    return tuple(_KINDS[one_of(item, _KINDS, place)] for item in texts(value, place))


def _tie(value: Any, place: Place) -> bool | Literal["parent"]:
    if value == "parent":
        return "parent"
    if isinstance(value, bool):
        return value
    raise place.error(f'expected true, false or "parent", not {value!r}')


_READERS: dict[str, Callable[[Any, Place], Any]] = {
    "kind": _kinds,
    "layer": texts,
    "position": position,
    "weight": partial(read_menu, operand="weight"),
    "input": partial(read_menu, operand="input"),
    "other": partial(read_menu, operand="other"),
    "pin": width,
    "float": switch,
    "include_float": switch,
    "min_bits": width,
    "max_bits": width,
    "tie": _tie,
}
