"""Menus: the formats an operand may take, from a TOML table or a list of tables."""

from __future__ import annotations

from itertools import product
from typing import Any, Literal, get_args

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat, ScaleRule
from mpsearch.spaces.rules import Menu
from mpsearch.spaces.values import Place, as_list, check_keys, one_of, switch, texts, width

Operand = Literal["weight", "input", "other"]

_KEYS = ("bits", "granularity", "symmetric", "scale")


def read_menu(value: Any, place: Place, *, operand: Operand) -> Menu:
    """The formats of one table or a list of them, widths times granularities, in the order written.

    An empty list is an empty menu: the operand stays in float.

    Raises:
        BadInput: an unknown key, or a value that does not fit the operand.
    """
    if value == []:
        return ()
    formats = [fmt for entry in as_list(value, place) for fmt in _entry(entry, place, operand)]
    return tuple(dict.fromkeys(formats))


def default_format(bits: int, operand: Operand, granularity: str | None = None) -> IntFormat:
    """The format an entry has where it gives no more than its *bits*.

    Weights are symmetric, with a scale an output channel. Activations are asymmetric with one
    calibrated scale, or symmetric where every token gets its own scale at run time; that one is
    the largest magnitude, since nothing can be searched while the model runs.
    """
    granularity = granularity or ("channel" if operand == "weight" else "tensor")
    dynamic = granularity == "token"
    return IntFormat(bits=bits, granularity=granularity, symmetric=operand == "weight" or dynamic,
                     scale="absmax" if dynamic else "least_squares")


def _entry(entry: Any, place: Place, operand: Operand) -> list[IntFormat]:
    if not isinstance(entry, dict):
        raise place.error(f"expected a table such as {{ bits = [4, 8] }}, not {entry!r}")
    check_keys(entry, _KEYS, place)
    if "bits" not in entry:
        raise place.error("no bits: give a width or a list of widths, such as bits = [4, 8]")
    bits_place, granularity_place = place.at("bits"), place.at("granularity")
    widths = [width(item, bits_place) for item in as_list(entry["bits"], bits_place)]
    granularities = [_granularity(item, granularity_place, operand)
                     for item in texts(entry["granularity"], granularity_place)
                     ] if "granularity" in entry else [None]
    return [_format(entry, place, default_format(bits, operand, granularity))
            for bits, granularity in product(widths, granularities)]


def _format(entry: dict[str, Any], place: Place, default: IntFormat) -> IntFormat:
    symmetric, scale = default.symmetric, default.scale
    if "symmetric" in entry:
        symmetric = switch(entry["symmetric"], place.at("symmetric"))
    if "scale" in entry:
        rules: dict[str, ScaleRule] = {rule: rule for rule in get_args(ScaleRule)}
        scale = rules[one_of(entry["scale"], rules, place.at("scale"))]
    return IntFormat(bits=default.bits, granularity=default.granularity, symmetric=symmetric,
                     scale=scale)


def _granularity(value: str, place: Place, operand: Operand) -> str:
    """*value*, if it is a granularity this operand can have."""
    if operand != "weight":
        return one_of(value, ("tensor", "token"), place)
    try:
        known = IntFormat(bits=8, granularity=value).granularity != "token"
    except BadInput:
        known = False
    if not known:
        raise place.error(f"'{value}' is no granularity of a weight: use tensor, channel or "
                          "group:N, such as group:128")
    return value
