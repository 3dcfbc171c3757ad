"""What is left out of a network, in the tables of searches."""

import pytest

from mpsearch.core.types import Totals
from mpsearch.report.left_out import in_short
from mpsearch.report.search_front import SearchFront, SearchFrontPoint, draw_front, front_parts

TOTALS = Totals(weights=8, size_bits=24, bits_per_weight=3.0, file_bytes=3, bops=1.0,
                predicted_loss=0.1)


@pytest.mark.parametrize(("left", "words"), [
    ({}, "nothing"),
    ({"b.0.mlp": "skip"}, "skips b.0.mlp"),
    ({"b.0.mlp": "skip", "b.1.mlp": "keep 2/4"}, "skips b.0.mlp; narrows 1"),
    ({"b.1.mlp": "keep 2/4", "b.1.attn": "keep 1/3"}, "narrows 2"),
    ({f"b.{number}": "skip" for number in range(3)}, "skips b.0, b.1, b.2"),
    ({f"b.{number}": "skip" for number in range(5)}, "skips b.0, b.1, 3 more"),
])
def test_skipped_branches_have_names_and_narrowed_ones_a_number(left, words):
    assert in_short(left) == words


def front(left, held_out):
    points = tuple(SearchFrontPoint(
        ticket=ticket, origin="refit", choice=(ticket,), values=(0.1 / (1 + ticket), 3.0 + ticket),
        loss=0.1, held_out=held_out, totals=TOTALS, left_out=left if ticket else {})
        for ticket in range(2))
    return SearchFront(model="m", objectives=("loss", "size"), trials=2, hypervolume=1.0,
                       started=0.5, reference=(1.0, 9.0), points=points,
                       others=tuple(point.values for point in points))


@pytest.mark.parametrize(("left", "held_out", "more"), [
    ({}, 0.2, ["KL held out"]),
    ({"b.0": "skip"}, 0.2, ["KL held out", "left out"]),
    ({"b.0": "skip"}, None, ["left out"]),
    ({}, None, []),
])
def test_a_front_has_the_columns_that_say_something(left, held_out, more, tmp_path):
    found = front(left, held_out)
    grid = front_parts(found)[0]
    assert [column.name for column in grid.columns] == ["trial", "proposed by", "loss", "size",
                                                        *more]
    assert all(len(row) == len(grid.columns) for row in grid.rows)
    if left:
        assert [row[-1] for row in grid.rows] == ["nothing", "skips b.0"]
    if held_out is None:
        assert all(path.exists() for path in draw_front(found, tmp_path / "front"))
