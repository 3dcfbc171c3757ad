"""Plug-ins with settings, as text: made, written in one spelling, and told apart in lists."""

import pytest

from mpsearch import plugins
from mpsearch.core.errors import BadInput, UnknownName


@pytest.mark.parametrize(("text", "settings"), [
    ("gauss_newton", {"draws": 1, "factored": True}),
    ("gauss_newton()", {"draws": 1, "factored": True}),
    ("gauss_newton(draws=4)", {"draws": 4, "factored": True}),
    (" gauss_newton ( factored = no , draws=2 ) ", {"draws": 2, "factored": False}),
    ("gptq_loss(damp=1e-3)", {"damp": 1e-3}),
    ("gptq_loss(damp=1)", {"damp": 1.0}),
    ("metric_probe(metric=mine.py:distance)", {"metric": "mine.py:distance"}),
    ("decoupled(rules=*attn*=kl *=cosine)", {"rules": "*attn*=kl *=cosine"}),
])
def test_settings_are_of_the_type_of_their_default(text, settings):
    made = plugins.make("estimator", text)
    found = {name: getattr(made, name) for name in settings}
    assert found == settings
    assert [type(value) for value in found.values()] == list(map(type, settings.values()))


@pytest.mark.parametrize(("text", "value"), [
    ("true", True), ("True", True), ("yes", True), ("1", True),
    ("false", False), ("False", False), ("NO", False), ("0", False),
])
def test_switches_are_read_in_many_spellings(text, value):
    assert plugins.make("estimator", f"gauss_newton(factored={text})").factored is value


@pytest.mark.parametrize(("text", "words"), [
    ("gauss_newton(draws=many)", "takes a int as 'draws', not 'many'"),
    ("gauss_newton(draws=1.5)", "takes a int as 'draws', not '1.5'"),
    ("gauss_newton(draws=)", "takes a int as 'draws', not ''"),
    ("gauss_newton(factored=maybe)", "takes true or false as 'factored', not 'maybe'"),
    ("gauss_newton(factored=2)", "takes true or false as 'factored', not '2'"),
    ("gptq_loss(damp=a little)", "takes a float as 'damp', not 'a little'"),
    ("gauss_newton(draw=1)", "no setting 'draw': its settings are draws, factored"),
    ("fisher(draws=1)", "no setting 'draws': it has no settings"),
    ("fisher(unit=nats)", "no setting 'unit': it has no settings"),
    ("gauss_newton(4)", "written key=value, separated by commas"),
    ("gauss_newton(draws=4,no)", "written key=value, separated by commas"),
    ("gauss_newton(draws=4", "check its parentheses"),
    ("gauss_newton)draws=4(", "check its parentheses"),
    ("gauss_newton(draws=4) too", "check its parentheses"),
])
def test_settings_that_do_not_fit_are_refused_in_one_line(text, words):
    for use in (plugins.make, plugins.canonical):
        with pytest.raises(BadInput) as caught:
            use("estimator", text)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["fishy", "fishy(draws=2)", "", "()"])
def test_a_name_that_nothing_answers_to_is_refused(text):
    with pytest.raises(UnknownName, match="unknown estimator"):
        plugins.make("estimator", text)


@pytest.mark.parametrize(("text", "expected"), [
    ("fisher", "fisher"), (" fisher() ", "fisher"),
    ("gauss_newton(factored=true,draws=1)", "gauss_newton"),
    ("gauss_newton( factored=No, draws=8 )", "gauss_newton(draws=8,factored=False)"),
    ("gptq_loss(damp=0.010)", "gptq_loss"), ("gptq_loss(damp=2e-2)", "gptq_loss(damp=0.02)"),
])
def test_equal_settings_have_one_spelling(text, expected):
    assert plugins.canonical("estimator", text) == expected
    assert plugins.canonical("estimator", expected) == expected
    assert plugins.make("estimator", expected) == plugins.make("estimator", text)


@pytest.mark.parametrize("name", plugins.BUILTIN["estimator"])
def test_every_name_alone_is_its_own_spelling(name):
    assert plugins.canonical("estimator", name) == name
    assert plugins.make("estimator", name) == plugins.load("estimator", name)()


def test_commas_within_parentheses_do_not_separate():
    text = "fisher, gauss_newton(draws=2, factored=no) ,kl_probe,, gptq_loss(damp=1)"
    assert plugins.listed(text) == ["fisher", "gauss_newton(draws=2, factored=no)", "kl_probe",
                                    "gptq_loss(damp=1)"]
    assert plugins.listed("") == []
    assert plugins.listed("fisher") == ["fisher"]


@pytest.mark.parametrize(("text", "expected"), [
    ("fisher", "fisher"), (" kl_probe ", "kl_probe"), ("gauss_newton(draws=2)", "gauss_newton"),
    ("anything(at=all)", "anything"),
])
def test_the_name_without_its_settings(text, expected):
    assert plugins.base_name(text) == expected
