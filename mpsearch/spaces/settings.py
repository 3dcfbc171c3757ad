"""What the rules, applied in order, leave set for one layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format, Operand
from mpsearch.core.types import OPERANDS, Kind, LayerSpec, Scheme
from mpsearch.spaces.menus import default_format
from mpsearch.spaces.rules import Menu, Rule, Width
from mpsearch.spaces.values import Place

_INHERITED = ("include_float", "min_bits", "max_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The state of one layer between rules.

    *menus* holds the menu of each operand that a rule gave one. *limited_by* is the rule that
    last set a limit. Layers with the same *tie* share a scheme.
    """

    menus: dict[str, Menu]
    float: bool = False
    include_float: bool = False
    min_bits: Width | None = None
    max_bits: Width | None = None
    limited_by: int | None = None
    tie: str | None = None

    @property
    def reads_integers(self) -> bool:
        """Whether the layer's input may be quantized."""
        return not self.float and bool(self.menus.get("input"))


def width_operands(kind: Kind) -> tuple[Operand, ...]:
    """The operands whose bits are the width of a layer: its weight, else both of a matmul."""
    return ("weight",) if "weight" in OPERANDS[kind] else OPERANDS[kind]


def apply(rule: Rule, settings: Settings, layer: LayerSpec) -> Settings:
    """*settings* after a *rule* that matches the layer.

    Keys are independent, save that a width (weight, pin, or a matmul's operands) and float speak
    of the same thing: the later of them holds.
    """
    menus: dict[str, Menu] = {name: menu for name in OPERANDS[layer.kind]
                              if (menu := getattr(rule, name)) is not None}
    if rule.pin is not None:
        menus |= _pinned(rule.pin, {**settings.menus, **menus}, layer.kind)
    changes = {key: value for key in _INHERITED if (value := getattr(rule, key)) is not None}
    sets_width = any(name in menus for name in width_operands(layer.kind))
    return replace(
        settings, **changes, menus={**settings.menus, **menus},
        float=rule.float if rule.float is not None else settings.float and not sets_width,
        limited_by=rule.number if rule.min_bits or rule.max_bits else settings.limited_by,
        tie=settings.tie if rule.tie is None else _tie(rule, layer),
    )


def schemes(settings: Settings, layer: LayerSpec, source: str) -> tuple[Scheme, ...]:
    """The candidate schemes of one layer, cheapest first; *source* names the file in messages.

    Raises:
        BadInput: min_bits and max_bits leave a menu without a format.
    """
    if settings.float:
        return (Scheme(),)
    menus = dict(settings.menus)
    for name in width_operands(layer.kind):
        if name in menus:
            menus[name] = _within_limits(menus[name], name, settings, layer, source)
    found = [*_combinations(menus, layer.kind), *([Scheme()] if settings.include_float else [])]
    return tuple(dict.fromkeys(cheapest_first(found)))


def cheapest_first(found: list[Scheme]) -> list[Scheme]:
    """By bits of weight, then input, then other; equal ones stay in the order given."""
    def bits(fmt: Format | None) -> float:
        return float("inf") if fmt is None else fmt.bits

    return sorted(found, key=lambda scheme: (
        bits(scheme.weight), bits(scheme.input), bits(scheme.other)))


def _combinations(menus: dict[str, Menu], kind: Kind) -> list[Scheme]:
    if kind == "matmul" and "other" not in menus:  # both operands in the same format
        return [Scheme(input=fmt, other=fmt) for fmt in menus.get("input") or (None,)]
    names = OPERANDS[kind]
    columns = [menus.get(name) or (None,) for name in names]
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in product(*columns)]
    return [Scheme(**row) for row in rows]


def _pinned(bits: Width, menus: dict[str, Menu], kind: Kind) -> dict[str, Menu]:
    """The menus of the layer's width, held at *bits*; a weight without a menu gets the default.

    Where a menu has nothing of this width, the first of its formats that can have it is given it,
    or else an integer.
    """
    if "weight" in OPERANDS[kind] and not menus.get("weight"):
        return {"weight": (default_format(bits, "weight"),)}
    return {name: tuple(fmt for fmt in menus[name] if fmt.bits == bits)
            or (_at_width(menus[name], bits, name),)
            for name in width_operands(kind) if menus.get(name)}


def _at_width(menu: Menu, bits: Width, operand: Operand) -> Format:
    for fmt in menu:
        try:
            return fmt.at_width(bits)
        except BadInput:
            continue
    return default_format(bits, operand)


def _within_limits(menu: Menu, name: str, settings: Settings, layer: LayerSpec, source: str,
                   ) -> Menu:
    low, high = settings.min_bits or 0, settings.max_bits or float("inf")
    kept = tuple(fmt for fmt in menu if low <= fmt.bits <= high)
    if menu and not kept:
        key = "min_bits" if all(fmt.bits < low for fmt in menu) else "max_bits"
        limits = " and ".join(f"{limit} = {value}" for limit, value in (
            ("min_bits", settings.min_bits), ("max_bits", settings.max_bits)) if value)
        widths = ", ".join(f"{bits:g}" for bits in sorted({fmt.bits for fmt in menu}))
        place = Place(source=source, rule=settings.limited_by, key=key)
        raise place.error(f"{limits} leaves layer '{layer.name}' no {name} format: its menu has "
                          f"{widths} bits, so move the limit or widen the menu")
    return kept


def _tie(rule: Rule, layer: LayerSpec) -> str | None:
    parent = layer.name.rpartition(".")[0]
    label = {True: f"rule {rule.number}", "parent": f"rule {rule.number} in '{parent}'"}
    return label.get(rule.tie or "")
