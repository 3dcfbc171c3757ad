"""The scripts of reports/search: what they count, keep and compare."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from mpsearch.nas.task import Outcome

SCRIPTS = Path(__file__).parents[1] / "reports" / "search"
NAMES = ("evaluations", "runs", "study", "report")


@pytest.fixture(scope="module")
def scripts():
    """The scripts as modules, by the names that they import each other by."""
    if not SCRIPTS.is_dir():
        pytest.skip("the reports are not part of this copy")
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in NAMES:
            sys.modules.pop(name, None)


def test_a_choice_is_measured_once(scripts, tmp_path):
    asked = []

    def run(choice, _go_on):
        asked.append(choice)
        return Outcome(samples=(0.5, 0.1 * choice[0]))

    path = tmp_path / "kept" / "file.txt"
    first = scripts["evaluations"].Evaluations(run, path)
    found = first((1, 2))
    assert first((1, 2)) == found
    path.write_text(path.read_text() + "3,4 AAAA")  # as a run that was killed leaves it
    again = scripts["evaluations"].Evaluations(run, path)
    assert again((1, 2)) == found
    assert (1, 2) in again
    assert (3, 4) not in again
    again((3, 4))
    assert asked == [(1, 2), (3, 4)]
    assert (3, 4) in scripts["evaluations"].Evaluations(run, path)


def test_points_that_something_before_them_beats_are_dropped(scripts):
    points = [(4.0, 0.5, (1,)), (4.0, 0.6, (2,)), (3.0, 0.7, (3,)), (3.0, 0.4, (4,)),
              (5.0, 0.4, (5,))]
    assert [point[0] for point in scripts["runs"].improving(points)] == [1, 3, 4]


def run_of(points):
    return {"trials": 300, "points": [[count, bits, loss, [0]] for count, bits, loss in points]}


def test_a_hypervolume_counts_what_was_found_by_then(scripts):
    document = {"reference": [8.0, 0.0], "runs": {
        "front | loop | 0": run_of([(10, 4.0, 0.1), (120, 2.0, 0.1)]),
        "front | random | 0": run_of([(10, 6.0, 0.1)])}}
    shares = scripts["report"].shares_of("nothing", document)
    assert shares["loop"]["50"] == pytest.approx([4 / 6])
    assert shares["loop"]["200"] == pytest.approx([1.0])
    assert shares["random"]["300"] == pytest.approx([2 / 6])
    (row,) = [line for line in scripts["report"].beaten("nothing", document) if "random" in line]
    assert "1 of 1" in row


def test_an_interval_is_of_students_t(scripts):
    assert scripts["report"].interval([1.0, 2.0, 3.0]) == "+2.00 (-0.48 to +4.48)"


def test_results_are_a_line_a_run_and_read_back(scripts):
    document = {"reference": [8.0, 0.0], "runs": {"a": {"trials": 1}, "b": {"trials": 2}}}
    text = scripts["study"].dumps(document).decode()
    assert json.loads(text) == document
    assert len(text.splitlines()) == 5


def test_methods_are_samplers_that_a_search_takes(scripts):
    from mpsearch.steps.search_plan import SearchPlan

    for sampler, warm in scripts["runs"].METHODS.values():
        assert SearchPlan(sampler=sampler, warm=warm).sampler == sampler
