"""A search space as written: its rules, before they meet a model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mpsearch.core.formats import Format
from mpsearch.core.types import Kind

Width = float
Share = float
Importance = Literal["taylor", "magnitude"]
Menu = tuple[Format, ...]
"""The formats one operand may take, in the order written; empty leaves it in float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One ``[[rule]]``: the layers it matches and what it sets for them.

    The fields are the keys of the grammar. A matcher that is None matches every layer; a setting
    that is None leaves what earlier rules set. *number* counts the rules of a file from 1.
    """

    number: int

    kind: tuple[Kind, ...] | None = None
    layer: tuple[str, ...] | None = None
    position: int | str | None = None

    weight: Menu | None = None
    input: Menu | None = None
    other: Menu | None = None
    pin: Width | None = None
    float: bool | None = None
    include_float: bool | None = None
    min_bits: Width | None = None
    max_bits: Width | None = None
    tie: bool | Literal["parent"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One ``[[subnet]]``: which residual branches may be left out or narrowed, and how far.

    The fields are the keys of the grammar. *branch* None matches every branch. *heads* and *mlp*
    are the shares of attention heads and hidden units that may stay, *importance* says which stay
    longest. *number* counts the tables of a file from 1.
    """

    number: int
    branch: tuple[str, ...] | None = None
    skip: bool = False
    heads: tuple[Share, ...] = ()
    mlp: tuple[Share, ...] = ()
    importance: Importance = "taylor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The rules of a search space, in order. *source* names the file in messages."""

    name: str
    description: str
    rules: tuple[Rule, ...]
    source: str
    subnets: tuple[Subnet, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the name and the rules, with every default written out.

        Comments, layout, the description and the place of the file do not change it.
        """
        content: dict[str, Any] = {
            "name": self.name, "rules": [asdict(rule) for rule in self.rules]}
        if self.subnets:  # a file without them keeps the digest it had before there were any
            content["subnets"] = [asdict(subnet) for subnet in self.subnets]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
