"""Tables: every number in its place, in a terminal and as markdown."""

from dataclasses import replace

import pytest

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import ModelRef, Policy, Scheme, Totals
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.table import (
    BudgetRow,
    Comparison,
    LayerRow,
    Outcome,
    budgets,
    comparison,
    difference,
    layers,
    outcome,
)

TOTALS = Totals(weights=1000, size_bits=8 * 1536, bits_per_weight=4.4987, file_bytes=3 * 1024**2,
                bops=5.23e9, predicted_loss=0.05321)
W4, W8 = Scheme(weight=IntFormat(bits=4)), Scheme(weight=IntFormat(bits=8))


def test_budgets_show_what_was_asked_and_what_is_possible():
    rows = [BudgetRow(budget=Budget.parse("4.5bpw"), achieved=4.4987, floor=2.0, ceiling=8.0),
            BudgetRow(budget=Budget.parse("2KiB"), achieved=1536, floor=1024, ceiling=4096)]
    assert budgets(rows).rows == (
        ("4.5bpw", "4.500 bits", "4.499 bits", "2.000 bits", "8.000 bits"),
        ("2KiB", "2.00 KiB", "1.50 KiB", "1.00 KiB", "4.00 KiB"))


def test_outcome_shows_the_loss_its_bound_and_the_sizes():
    grid = outcome(Outcome(totals=TOTALS, bound=0.0532, status="optimal", unit="nats"))
    assert dict(grid.rows) == {
        "predicted loss": "0.05321 nats", "proven lower bound": "0.0532 nats",
        "status": "optimal", "bits per weight": "4.499", "quantized weights": "1.50 KiB",
        "whole file": "3.00 MiB", "bit operations per sample": "5.23 GBOPs"}


def test_comparison_is_ordered_by_size_and_stresses_the_chosen(front):
    grid = comparison(Comparison(points=front.measured, chosen="4.0bpw",
                                 verdicts={"W4": "worse"}))
    assert [row[0] for row in grid.rows] == [
        "2.5bpw", "3.0bpw", "W3", "3.5bpw", "4.0bpw", "W4", "4.5bpw"]
    assert grid.rows[4][:6] == (
        "4.0bpw", "4.000", "391 KiB", "0.0183 ± 0.0018", "90.0 ± 1.0", "80.0 ± 2.0")
    assert [row[-1] for row in grid.rows] == ["", "", "", "", "", "worse", ""]
    assert grid.strong == {4}
    assert "500 held-out samples, float model 82.0 %" in grid.title


def test_comparison_without_labels(front):
    points = tuple(replace(p, evaluation=replace(p.evaluation, top1=None, top1_stderr=None,
                                                 float_top1=None)) for p in front.measured)
    grid = comparison(Comparison(points=points))
    assert {row[5] for row in grid.rows} == {"-"}
    assert "float" not in grid.title
    assert not grid.strong


def test_layers_show_scheme_share_and_gain():
    rows = [LayerRow(name="fc", kind="linear", weights=442368, scheme=W4, share=0.5,
                     gain_per_kib=1.25e-5, next_scheme=W8, other_scheme=W8, other_cost=2e-6),
            LayerRow(name="qk", kind="matmul", weights=0, scheme=Scheme())]
    grid = layers(rows, unit="nats")
    assert grid.rows == (
        ("fc", "linear", "442,368", "W4", "50.0 %", "1.25e-05", "W8", "W8", "2e-06"),
        ("qk", "matmul", "-", "float", "-", "-", "-", "-", "-"))
    assert "nats" in grid.title


def test_difference_lists_changed_layers_and_both_totals():
    here = Policy(model=ModelRef(source="m", fingerprint="f"), totals=TOTALS,
                  layers={"a": W4, "b": W4, "c": W4})
    there = replace(here, layers={"a": W4, "b": W8, "d": Scheme()},
                    totals=replace(TOTALS, bits_per_weight=5.0, file_bytes=1024))
    grid = difference(here, there, labels=("old.json", "new.json"))
    assert grid.title == "3 of 4 layers differ"
    assert [column.name for column in grid.columns] == ["layer", "old.json", "new.json"]
    assert grid.rows == (
        ("b", "W4s/channel", "W8s/channel"), ("c", "W4s/channel", "-"), ("d", "-", "float"),
        ("bits per weight", "4.499", "5.000"), ("whole file", "3.00 MiB", "1.00 KiB"))


def test_terminal_shows_every_cell_in_order():
    grid = Grid(title="[bold]T", columns=words("name") + numbers("n"),
                rows=(("blocks[0]", "1"), ("[red]", "22")), strong=frozenset({1}))
    assert grid.lines(rule="-") == ["[bold]T", "name        n", "-------------", "blocks[0]   1",
                                    "[red]      22"]


def test_terminal_codes_stress_only_what_stands_out():
    grid = Grid(title="T", columns=words("name"), rows=(("a",), ("b",)), strong=frozenset({1}))
    title, heading, _, plain, strong = grid.lines(styled=True)
    assert (title, heading) == ("\x1b[3mT\x1b[0m", "\x1b[1mname\x1b[0m")
    assert (plain, strong) == ("a", "\x1b[1mb\x1b[0m")


def test_wide_letters_and_accents_keep_columns_straight():
    grid = Grid(title="T", columns=words("name") + numbers("n"),
                rows=(("数字", "1"), ("e\u0301te", "2"), ("plain", "3")))
    _, _, rule, *rows = grid.lines()
    assert rows == ["数字   1", "e\u0301te    2", "plain  3"]
    assert len(rule) == 8


def test_a_cell_cannot_move_the_cursor():
    grid = Grid(title="a\nb", columns=words("name"), rows=(("up\x1b[2A\tand", ), ))
    assert grid.lines()[0] == "a b"
    assert grid.lines()[-1] == "up [2A and"


def test_markdown_is_a_table_and_escapes_its_marks():
    grid = Grid(title="T", columns=words("a|b") + numbers("n"),
                rows=(("x_y*", "1"), ("strong", "")), strong=frozenset({1}))
    assert grid.markdown() == (
        "T\n\n| a\\|b | n |\n| --- | ---: |\n| x\\_y\\* | 1 |\n| **strong** |  |\n")


def test_a_row_has_one_cell_a_column():
    with pytest.raises(BadInput, match="table 'T' has 1 cells in a row for 2 columns"):
        Grid(title="T", columns=words("a", "b"), rows=(("x",),))
