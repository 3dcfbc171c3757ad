"""The kinds of formats there are, for people and as plain data."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mpsearch.core.formats import Format, registry
from mpsearch.core.formats.words import granularity_names, widths_text
from mpsearch.report.grid import Grid, shown, words

_WIDTH, _INDENT = 80, "    "
_OF_EVERY_KIND = ("kind", "bits", "granularity")


def kinds_data() -> dict[str, Any]:
    """What each kind says of itself, by name."""
    return {kind: _data(registry.format_class(kind)) for kind in registry.kinds()}


def kinds_tables(data: dict[str, Any]) -> tuple[Grid | str, ...]:
    """A table with a row a kind, and below it a few lines on each, all within 80 columns.

    The table tells the range of widths, and who may share a scale in weights and activations; the
    lines what the kind is, all its widths, its settings and its source.
    """
    grid = Grid(title="Quantizers", columns=words("kind", "bits", "weights", "activations"),
                rows=tuple((kind, _range(own["bits"]), _listed(own["weights"]),
                            _listed(own["activations"])) for kind, own in data.items()))
    return (grid, *("\n" + "\n".join(_told(kind, own)) for kind, own in data.items()))


def _told(kind: str, own: dict[str, Any]) -> list[str]:
    settings = ", ".join(map(_setting, own["settings"].items()))
    told = {"bits": widths_text(tuple(own["bits"])), "settings": settings, "source": own["source"]}
    parts = [own["summary"], *(f"{name}: {text}" for name, text in told.items() if text)]
    return [shown(kind), *(line for part in parts for line in wrap(
        shown(part), _WIDTH, initial_indent=_INDENT, subsequent_indent=2 * _INDENT,
        break_long_words=False, break_on_hyphens=False))]


def _range(bits: list[float]) -> str:
    low, high = min(bits), max(bits)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _data(cls: type[Format]) -> dict[str, Any]:
    weight, activation = "weight" in cls.OPERANDS, {"input", "other"} & set(cls.OPERANDS)
    hints = get_type_hints(cls)
    return {
        "summary": cls.SUMMARY, "source": cls.SOURCE, "operands": list(cls.OPERANDS),
        "bits": list(cls.WIDTHS),
        "weights": granularity_names(cls.granularities("weight")) if weight else [],
        "activations": granularity_names(cls.ACTIVATION_GRANULARITIES) if activation else [],
        "settings": {each.name: _choices(each, hints[each.name]) for each in fields(cls)
                     if each.name not in _OF_EVERY_KIND}}


def _choices(setting: Field[Any], hint: Any) -> dict[str, Any]:
    """The default of a setting and its values if they are few.

    The default is None where it must be given, or follows from other settings.
    """
    default = None if setting.default in (MISSING, "") else setting.default
    return {"default": default,
            **({"values": list(get_args(hint))} if get_origin(hint) is Literal else {})}


def _setting(item: tuple[str, dict[str, Any]]) -> str:
    """A setting as a menu writes it: its values if they are few, else its default."""
    name, own = item
    if "values" in own:
        return f"{name} = {'|'.join(map(str, own['values']))}"
    if own["default"] is None:
        return name
    return f"{name} = {json.dumps(own['default'])}"


def _listed(granularities: list[str]) -> str:
    return ", ".join(granularities) or "-"
