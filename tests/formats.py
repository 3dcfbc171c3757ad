"""Formats of every kind, found from what the kinds say of themselves."""

from dataclasses import fields
from itertools import product
from typing import Literal, get_args, get_origin, get_type_hints

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import registry


def formats_of(kind, *, operand="weight", most=24):
    """Formats of *kind* in its narrowest, a middle and its widest width and all its settings."""
    cls = registry.format_class(kind)
    if operand not in cls.OPERANDS:
        return []
    widths = dict.fromkeys([cls.WIDTHS[0], cls.WIDTHS[len(cls.WIDTHS) // 2], cls.WIDTHS[-1]])
    choices = {"bits": list(widths), "granularity": _granularities(cls, operand)}
    hints = get_type_hints(cls)
    for each in fields(cls):
        if get_origin(hints[each.name]) is Literal and each.name != "kind":
            choices[each.name] = list(get_args(hints[each.name]))
        elif hints[each.name] is bool:
            choices[each.name] = [True, False]
    made = []
    for row in product(*choices.values()):
        try:
            made.append(cls(**dict(zip(choices, row, strict=True))))
        except BadInput:  # two settings that do not go together
            continue
    step = max(1, -(-len(made) // most))
    return made[::step]


def _granularities(cls, operand):
    known = cls.GRANULARITIES if operand == "weight" else cls.ACTIVATION_GRANULARITIES
    named = [name for name in known if (name == "token") <= (operand != "weight")]
    return ["group:16" if name == "group" else name for name in named]
