"""Which layers a rule speaks of, and which of its matchers speak of none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from mpsearch.core.types import LayerSpec
from mpsearch.spaces.rules import Rule


def select(rule: Rule, layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    """The layers that *rule* matches, in order of execution.

    A position counts among the layers that the rule's other matchers leave, so that
    ``kind = "linear"`` with ``position = "first"`` is the first linear layer.
    """
    patterns = rule.layer or ("*",)
    chosen = [layer for layer in layers
              if (rule.kind is None or layer.kind in rule.kind)
              and any(fnmatchcase(layer.name, pattern) for pattern in patterns)]
    return chosen[_bounds(rule.position)]


def unmatched(rule: Rule, layers: Sequence[LayerSpec]) -> list[str]:
    """What *rule* asks for by name or position and does not find, in words.

    A rule that matches by kind alone is never named: a kind that a model lacks is no mistake.
    """
    if rule.layer is None and rule.position is None:
        return []
    asked = [rule]
    if select(rule, layers):  # then a pattern among several may still find nothing
        asked = [replace(rule, layer=(name,), position=None) for name in rule.layer or ()]
    return [f"rule {rule.number}: no layer matches {_in_words(each)}{_hint(each, layers)}"
            for each in asked if not select(each, layers)]


def _bounds(position: int | str | None) -> slice:
    if position is None:
        return slice(None)
    if position in ("first", "last"):
        position = 0 if position == "first" else -1
    if isinstance(position, int):
        return slice(position, position + 1 or None)  # up to -1 + 1 = 0 would be empty
    start, _, stop = position.partition(":")
    return slice(int(start) if start else None, int(stop) if stop else None)


def _in_words(rule: Rule) -> str:
    matchers = {"kind": rule.kind, "layer": rule.layer,
                "position": None if rule.position is None else (str(rule.position),)}
    return " and ".join(f"{key} = " + " or ".join(f'"{value}"' for value in values)
                        for key, values in matchers.items() if values is not None)


def _hint(rule: Rule, layers: Sequence[LayerSpec]) -> str:
    """The names closest to patterns that no layer of any kind fits."""
    known = [layer.name for layer in layers]
    close = [match for pattern in rule.layer or ()
             if not any(fnmatchcase(name, pattern) for name in known)
             for match in get_close_matches(pattern, known, n=1)]
    return f" (closest: {', '.join(dict.fromkeys(close))})" if close else ""
