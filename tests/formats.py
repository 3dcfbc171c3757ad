"""Formats of every kind, found from what the kinds say of themselves."""

from dataclasses import fields
from itertools import product
from math import gcd
from typing import Literal, get_args, get_origin, get_type_hints

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat, registry


def formats_of(kind, *, operand="weight", most=12):
    """Formats of *kind* that *operand* can have: about so many, spread over its settings.

    Widths are the narrowest, a middle and the widest; switches and lists of values are gone
    through; every other setting is the default but once.
    """
    cls = registry.format_class(kind)
    if operand not in cls.OPERANDS:
        return []
    widths = dict.fromkeys([cls.WIDTHS[0], cls.WIDTHS[len(cls.WIDTHS) // 2], cls.WIDTHS[-1]])
    choices = {"bits": list(widths), "granularity": _granularities(cls, operand)}
    hints, others = get_type_hints(cls), {}
    for each in fields(cls):
        if get_origin(hints[each.name]) is Literal and each.name != "kind":
            choices[each.name] = list(get_args(hints[each.name]))
        elif hints[each.name] is bool:
            choices[each.name] = [True, False]
        elif each.name not in {"kind", *choices}:
            others[each.name] = _another(each.default)
    rows = [dict(zip(choices, row, strict=True)) for row in product(*choices.values())]
    made = _some(_able(cls, rows, operand), most)
    for name, value in others.items():
        made += _able(cls, [{**row, name: value} for row in rows], operand)[:1]
    return list(dict.fromkeys(made))


def _able(cls, rows, operand):
    made = []
    for row in rows:
        try:
            fmt = cls(**row)
            fmt.require(operand)
        except BadInput:  # settings that do not go together, or not here
            continue
        made.append(fmt)
    return made


def _some(formats, most):
    """So many of *formats*, at a stride that meets all values of every setting."""
    count = len(formats)
    if count <= most:
        return formats
    stride = next(n for n in range(round(0.62 * count), 2 * count) if gcd(n, count) == 1)
    return [formats[at] for at in sorted(stride * i % count for i in range(most))]


def _another(default):
    """A value that is not the default, and not far from it."""
    return 4 * default if isinstance(default, float) else max(1, 2 * default // 3)


def integer(*, scale, **settings):
    """Integers with the rule *scale*, but ``absmax`` for tokens, which have no other."""
    rule = "absmax" if settings["granularity"] == "token" else scale
    return IntFormat(scale=rule, **settings)


def _granularities(cls, operand):
    return ["group:16" if name == "group" else name for name in cls.granularities(operand)]
