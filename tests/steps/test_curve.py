"""The curve of best choices is solved once for a table, and kept."""

from dataclasses import replace
from functools import partial

import pytest

from mpsearch import plugins
from mpsearch.core.errors import UnknownName
from mpsearch.steps.curve import Curve
from mpsearch.workspace import Workspace


@pytest.fixture
def curve(tmp_path, two_layers, make_measured):
    def make(losses=None, **options):
        measured = make_measured(two_layers, losses or [[9.0, 3.0, 2.5], [9.0, 1.0, 0.0]])
        return Curve(measured=measured, estimator="kl_probe", workspace=Workspace(tmp_path),
                     **options)

    return make


def test_what_was_solved_is_taken_from_the_workspace(curve, monkeypatch):
    first = curve().solve(7)
    monkeypatch.setattr("mpsearch.allocation.front.front", lambda *_: pytest.fail("solved again"))
    assert curve().solve(7) == first
    assert all(isinstance(choice, tuple) for choice in first)


@pytest.mark.parametrize("other", [
    {"points": 8}, {"sizes": (20.0,)}, {"losses": [[9.0, 3.0, 2.5], [9.0, 1.0, 0.5]]},
    {"allocator": "greedy"}])
def test_another_question_is_solved_anew(curve, monkeypatch, other):
    curve().solve(7)
    asked = []
    monkeypatch.setattr("mpsearch.allocation.front.front", lambda *_: asked.append(1) or [])
    options = {key: other[key] for key in ("losses", "allocator") if key in other}
    curve(**options).solve(other.get("points", 7), other.get("sizes", ()))
    assert asked == [1]


def test_without_a_workspace_nothing_is_kept(curve, tmp_path):
    assert replace(curve(), workspace=None).solve(5)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_name_is_refused(curve):
    with pytest.raises(UnknownName, match="no_such"):
        curve(allocator="no_such").solve(5)


def test_an_allocator_with_other_settings_solves_anew(curve, monkeypatch):
    first = curve().solve(7)
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: partial(
        load(kind, name), expansions=7) if kind == "allocator" else load(kind, name))
    monkeypatch.setattr("mpsearch.allocation.front.front", lambda *_: [])
    assert first
    assert curve().solve(7) == []


@pytest.mark.parametrize(("name", "kept"), [("ilp", False), ("greedy", True)])
def test_what_another_run_may_better_is_not_kept(curve, monkeypatch, name, kept):
    """An answer that a time limit cut short; a heuristic's is all that it will ever say."""
    from mpsearch.allocation import front

    found, asked = front.front, []
    monkeypatch.setattr(front, "front", lambda *given: asked.append(1) or [
        replace(each, status="feasible") for each in found(*given)])
    assert curve(allocator=name).solve(7) == curve(allocator=name).solve(7)
    assert asked == ([1] if kept else [1, 1])


def test_an_allocator_of_another_package_is_always_asked(curve, monkeypatch):
    """A new version of it may answer otherwise."""
    place = plugins.BUILTIN["allocator"]["hull"]
    monkeypatch.setattr(plugins, "announced", lambda _kind: {"mine": place})
    first = curve(allocator="mine").solve(7)
    assert first == curve(allocator="hull").solve(7)
    monkeypatch.setattr("mpsearch.allocation.front.front", lambda *_: [])
    assert curve(allocator="mine").solve(7) == []
