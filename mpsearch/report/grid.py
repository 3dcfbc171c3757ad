"""A table of finished text, shown in a terminal or as markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mpsearch.core.errors import BadInput

Align = Literal["left", "right"]
_GAP = 2
_BOLD, _ITALIC = "\x1b[1m{}\x1b[0m", "\x1b[3m{}\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, and the side its cells keep to (numbers right, words left)."""

    name: str
    align: Align = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Rows of text under headings; *strong* are the indices of rows to stress.

    Raises:
        BadInput: a row has not one cell a column.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise BadInput(f"table '{self.title}' has {len(row)} cells in a row for "
                               f"{len(self.columns)} columns")

    def lines(self, *, styled: bool = False, rule: str = "─") -> list[str]:
        """This table for a terminal, as wide as it is: title, headings, a *rule* and the rows.

        *styled* stresses with terminal codes what is to stand out.
        """
        cells = [[shown(column.name) for column in self.columns],
                 *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(map(columns_of, column)) for column in zip(*cells, strict=True)]
        heading, *body = (_line(row, widths, self.columns) for row in cells)
        bold = (_BOLD if styled else "{}").format
        title = (_ITALIC if styled else "{}").format(shown(self.title))
        return [title, bold(heading), rule * (sum(widths) + _GAP * (len(widths) - 1)),
                *(bold(line) if index in self.strong else line
                  for index, line in enumerate(body))]

    def markdown(self) -> str:
        """This table as GitHub-flavoured markdown, its title as a line before it."""
        rule = ["---:" if column.align == "right" else "---" for column in self.columns]
        body = [[f"**{_escape(cell)}**" if index in self.strong and cell else _escape(cell)
                 for cell in row] for index, row in enumerate(self.rows)]
        lines = [[_escape(column.name) for column in self.columns], rule, *body]
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        return f"{_escape(self.title)}\n\n{table}"


def words(*names: str) -> tuple[Column, ...]:
    """Columns of words."""
    return tuple(Column(name=name) for name in names)


def numbers(*names: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(name=name, align="right") for name in names)


def shown(text: str) -> str:
    """*text* on one line, with a blank for whatever would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def columns_of(text: str) -> int:
    """How many columns of a terminal *text* takes: two for a wide letter, none for an accent."""
    return sum(0 if unicodedata.combining(letter) else
               1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    gap = " " * _GAP
    padded = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        space = " " * (width - columns_of(cell))
        padded.append(space + cell if column.align == "right" else cell + space)
    return gap.join(padded).rstrip()


def _escape(text: str) -> str:
    for special in ("\\", "|", "*", "_", "`", "<"):
        text = text.replace(special, "\\" + special)
    return text.replace("\n", " ")
