"""Metrics by name: shipped ones, and a function of the user in a file."""

import pytest
import torch

from mpsearch import metrics, plugins
from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.sensitivity.metric_probe import MetricProbe
from mpsearch.sensitivity.named_metrics import metric_of
from mpsearch.sensitivity.probe import ProbeEngine


@pytest.fixture
def function(tmp_path):
    """Writes a file with one function of that body, and says how to name it."""
    def write(body, arguments="reference, output", name="distance"):
        path = tmp_path / "mine.py"
        path.write_text(f"import torch\n\n\ndef {name}({arguments}):\n    {body}\n")
        return f"{path}:{name}"
    return write


def measured(models, study, metric):
    return models.measure(ProbeEngine(), MetricProbe(metric=metric), study)[0]


@pytest.mark.parametrize("name", plugins.BUILTIN["metric"])
def test_a_score_is_the_metric_of_the_quantized_model(models, name):
    model, args = models.caught("maps"), models.inputs_of("maps", 6)
    study = models.study_of(model, models.weights_only(2, 3), [args])
    table, reference = measured(models, study, name), model.program.run(args)
    for group, row in zip(study.space.groups, table.values, strict=True):
        for scheme, value in zip(group.schemes, row, strict=True):
            output = Simulated()(model.program, study.fake,
                                 dict.fromkeys(group.layers, scheme), {})(*args)
            expected = float(plugins.load("metric", name)(reference, output).mean())
            assert value == pytest.approx(expected, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("arguments", ["reference, output", "output, reference", "a, b",
                                       "a, b, /", "*both"])
def test_a_users_function_is_called_by_name_or_by_position(models, function, arguments):
    first, second = ("reference", "output") if "reference" in arguments else (
        ("both[0]", "both[1]") if "*" in arguments else ("a", "b"))
    spec = function(f"return ({first} - 2 * {second}).abs().sum(1)", arguments)
    reference, output = torch.randn(4, 3), torch.randn(4, 3)
    found = metric_of(spec)(reference, output)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, (reference - 2 * output).abs().sum(1).double())
    study = models.study_of(models.caught("chain"), models.weights_only(2),
                            [models.inputs_of("chain", 3)])
    table = measured(models, study, spec)
    assert min(value for (value,) in table.values) > 0


def test_a_name_and_its_function_are_one_metric():
    assert metric_of("kl") is metrics.kl
    reference, output = torch.randn(4, 3), torch.randn(4, 3)
    assert torch.equal(metric_of("mpsearch.metrics:cosine")(reference, output),
                       metrics.cosine(reference, output))


@pytest.mark.parametrize(("body", "words"), [
    ("return (reference - output).abs().mean()", r"a tensor of shape \(4,\)"),
    ("return (reference - output).abs()", r"a tensor of shape \(4,\)"),
    ("return (reference - output).abs().sum(0)", r"a tensor of shape \(4,\)"),
    ("return [0.0] * len(output)", r"a tensor of shape \(4,\)"),
    ("return float((reference - output).abs().sum())", r"a tensor of shape \(4,\)"),
    ("return None", "must return one finite number a sample"),
    ("return (reference - output).sum(1) / 0", "must return one finite number a sample"),
    ("return (reference - output).sum(1) * torch.nan", "must return one finite number a sample"),
    ("raise ValueError('three\\nlines\\nof it')", "failed: ValueError: three lines of it"),
    ("return reference @ output", "failed: RuntimeError"),
])
@pytest.mark.parametrize("arguments", ["reference, output", "a, b"])
def test_what_a_function_does_wrong_is_told_in_one_line(function, body, words, arguments):
    if arguments == "a, b":
        body = body.replace("reference", "a").replace("output", "b")
    with pytest.raises(BadInput, match=words) as caught:
        metric_of(function(body, arguments))(torch.randn(4, 3), torch.randn(4, 3))
    assert "mine.py:distance" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", ["a", "a, b, c", "a, *, output"])
def test_a_function_of_other_arguments_is_refused(function, arguments):
    with pytest.raises(BadInput, match=r"mine\.py:distance failed: TypeError"):
        metric_of(function("return a.sum(1)", arguments))(torch.randn(4, 3), torch.randn(4, 3))


def test_metrics_that_are_not_there_are_refused(function):
    with pytest.raises(UnknownName, match="unknown metric 'lpips'"):
        metric_of("lpips")
    with pytest.raises(BadInput, match="has no function 'other'"):
        metric_of(function("return None").replace(":distance", ":other"))
    with pytest.raises(BadInput, match="no such file"):
        metric_of("nowhere/mine.py:distance")
