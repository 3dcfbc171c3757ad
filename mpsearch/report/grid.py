"""A table of finished text, shown in a terminal or as markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mpsearch.core.errors import BadInput

if TYPE_CHECKING:
    from rich.table import Table

Align = Literal["left", "right"]


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

    def rich(self) -> Table:
        """This table for a terminal; long words wrap, numbers never do."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title), title_justify="left", box=box.SIMPLE_HEAD,
                      padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for column in self.columns:
            number = column.align == "right"
            table.add_column(Text(column.name), justify=column.align, no_wrap=number,
                             overflow="fold")
        for index, row in enumerate(self.rows):
            # Text, because a layer called "[0]" is no markup
            table.add_row(*(Text(cell) for cell in row),
                          style="bold" if index in self.strong else None)
        return table

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


def _escape(text: str) -> str:
    for special in ("\\", "|", "*", "_", "`", "<"):
        text = text.replace(special, "\\" + special)
    return text.replace("\n", " ")
