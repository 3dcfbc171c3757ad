"""Each family is scored by its own metric, in shares of what it loses at worst."""

import pytest

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.core.types import Group, Scheme
from mpsearch.sensitivity.decoupled import Decoupled
from mpsearch.sensitivity.metric_probe import MetricProbe
from mpsearch.sensitivity.probe import ProbeEngine


def group(*layers):
    return Group(name=layers[0], layers=layers, schemes=(Scheme(),))


def measured(models, study, estimator):
    return models.measure(ProbeEngine(), estimator, study)[0]


@pytest.fixture
def study(models):
    return models.study_of(models.caught("chain"), (*models.weights_only(2, 3), Scheme()),
                           [models.inputs_of("chain", n, n) for n in (3, 2)])


@pytest.mark.parametrize(("rules", "layer", "expected"), [
    ("*attn*=kl *=sqnr", "blocks.0.attn.qkv", "*attn*=kl"),
    ("*attn*=kl *=sqnr", "blocks.0.mlp", "*=sqnr"),
    ("*=sqnr *attn*=kl", "blocks.0.attn.qkv", "*=sqnr"),
    ("block=kl *=sqnr", "blocks", "*=sqnr"),
    ("*[12]=cosine  *=mine.py:f", "layers.2", "*[12]=cosine"),
    ("*[12]=cosine  *=mine.py:f", "layers.3", "*=mine.py:f"),
    ("*Attn*=kl *=sqnr", "attn", "*=sqnr"),
])
def test_the_first_rule_that_fits_decides(rules, layer, expected):
    assert Decoupled(rules=rules).family(group(layer, "other.attn")) == expected


@pytest.mark.parametrize(("rules", "words"), [
    ("*attn*=kl", "no rule of the decoupled probes fits layer 'layers.0'"),
    ("", "no rule of the decoupled probes fits"),
    ("kl", "the rule 'kl' is not pattern=metric"), ("*=", r"'\*=' is not pattern=metric"),
    ("=kl", "'=kl' is not pattern=metric"),
])
def test_rules_that_cannot_be_followed_are_refused(models, study, rules, words):
    with pytest.raises(BadInput, match=words):
        Decoupled(rules=rules).family(group("layers.0"))
    with pytest.raises(BadInput, match=words):
        measured(models, study, Decoupled(rules=rules))


def test_a_metric_that_is_not_there_is_refused(models, study):
    with pytest.raises(UnknownName, match="unknown metric 'fid'"):
        measured(models, study, Decoupled(rules="*=fid"))


def test_scores_are_shares_of_the_familys_worst(models, study):
    table = measured(models, study, Decoupled(rules="*.1=kl *=cosine"))
    assert table.families == ("*=cosine", "*.1=kl", "*=cosine")
    plain = {name: measured(models, study, MetricProbe(metric=name)) for name in ("kl", "cosine")}
    for families, metric in (((0, 2), "cosine"), ((1,), "kl")):
        worst = sum(max(plain[metric].values[i]) for i in families)
        for i in families:
            assert table.values[i] == pytest.approx(
                [value / worst for value in plain[metric].values[i]])
            assert table.stderr[i] == pytest.approx(
                [value / worst for value in plain[metric].stderr[i]])
        assert sum(max(table.values[i]) for i in families) == pytest.approx(1)


def test_one_family_keeps_the_order_of_its_metric(models, study):
    table = measured(models, study, Decoupled(rules="*=kl"))
    plain = measured(models, study, MetricProbe(metric="kl"))
    ratios = {round(a / b, 9) for row, other in zip(table.values, plain.values, strict=True)
              for a, b in zip(row, other, strict=True) if b}
    assert len(set(table.families)) == len(ratios) == 1


def test_a_family_that_loses_nothing_scores_nothing(models):
    study = models.study_of(models.caught("chain"), (Scheme(),), [models.inputs_of("chain", 3)])
    table = measured(models, study, Decoupled(rules="*=kl"))
    assert {value for row in table.values for value in row} == {0.0}
