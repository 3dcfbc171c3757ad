"""Plug-ins by name: the built-in ones, other packages' ones, and names nothing answers to."""

import subprocess
import sys
from dataclasses import is_dataclass

import pytest

from mpsearch import plugins
from mpsearch.core import entries
from mpsearch.core.errors import BadInput, UnknownName

PAIRS = [(kind, name) for kind, known in plugins.BUILTIN.items() for name in known]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a distribution of another author that brings plug-ins of its own."""
    def install(kind, name, place):
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[mpsearch.{kind}]\n{name} = {place}\n")
        (tmp_path / "stranger.py").write_text("class Guess:\n    pass\n")
        monkeypatch.syspath_prepend(tmp_path)
        entries._installed.cache_clear()

    yield install
    entries._installed.cache_clear()
    sys.modules.pop("stranger", None)


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_every_built_in_name_leads_to_something_callable(kind, name):
    assert callable(plugins.load(kind, name))


@pytest.mark.parametrize(("kind", "name"), [pair for pair in PAIRS if pair[0] in (
    "estimator", "allocator", "quantizer", "backend")])
def test_a_plug_in_is_its_own_frozen_configuration(kind, name):
    made = plugins.load(kind, name)
    assert is_dataclass(made)
    assert made.__dataclass_params__.frozen
    assert made.__doc__


@pytest.mark.parametrize("kind", plugins.BUILTIN)
def test_an_unknown_name_lists_the_known_ones(kind):
    with pytest.raises(UnknownName) as caught:
        plugins.load(kind, "no such thing")
    message = str(caught.value)
    assert f"unknown {kind} 'no such thing'" in message
    assert all(name in message for name in plugins.BUILTIN[kind])


def test_another_package_can_bring_a_plug_in(installed):
    installed("allocator", "guess", "stranger:Guess")
    assert "guess" in plugins.names("allocator")
    assert "guess" not in plugins.names("estimator")
    assert plugins.load("allocator", "guess").__name__ == "Guess"


def test_a_built_in_name_cannot_be_taken_over(installed):
    before = plugins.load("allocator", "ilp")
    installed("allocator", "ilp", "stranger:Guess")
    assert plugins.load("allocator", "ilp") is before
    assert plugins.names("allocator").count("ilp") == 1


@pytest.mark.parametrize(("text", "expected"), [
    ("aph(step=0.25)", 0.25), ("aph(step=None)", None), ("aph", None),
])
def test_a_setting_that_may_be_left_open_can_be_given(text, expected):
    assert plugins.make("estimator", text).step == expected


def test_a_setting_of_a_few_values_takes_no_other():
    assert plugins.make("estimator", "aph(signs=ones)").signs == "ones"
    with pytest.raises(BadInput, match="'aph' takes one of ones, random as 'signs', not 'one'"):
        plugins.make("estimator", "aph(signs=one)")


@pytest.mark.parametrize(("text", "words"), [
    ("fisher(draws=2)", "it has no settings"), ("aph(noise=2)", "its settings are signs, step"),
    ("aph(step=x)", "takes a float as 'step', not 'x'"), ("aph(step", "check its parentheses"),
    ("gauss_newton(draws=1.5)", "takes a int as 'draws'"), ("aph(step)", "written key=value"),
])
def test_settings_that_do_not_fit_are_refused(text, words):
    with pytest.raises(BadInput, match=words):
        plugins.make("estimator", text)


def test_canonical_settings_are_ordered_and_not_the_defaults():
    assert plugins.canonical("estimator", " aph( temperature = 5,signs=ones) ") == (
        "aph(signs=ones,temperature=5.0)")
    assert plugins.canonical("estimator", "aph(temperature=20)") == "aph"
    assert plugins.canonical("estimator", "gauss_newton(factored=no)") == (
        "gauss_newton(factored=False)")


def test_costs_are_no_plug_ins():
    """A budget must know a cost's unit: an announced one would be listed and never used."""
    assert "cost" not in plugins.BUILTIN


def test_names_are_sorted():
    for kind, known in plugins.BUILTIN.items():
        assert plugins.names(kind) == sorted(known)


def test_listing_names_and_choosing_an_allocator_import_no_torch():
    program = ("import sys; from mpsearch import plugins; "
               "[plugins.names(kind) for kind in plugins.BUILTIN]; "
               "plugins.load('allocator', 'ilp'); import mpsearch.cost.costs; "
               "assert not {'torch', 'timm'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", program], check=True)
