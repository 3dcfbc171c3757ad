"""What a user calls from Python, with a module and batches of their own."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mpsearch import api
from mpsearch.core.errors import BadInput, Infeasible
from mpsearch.core.formats import IntFormat
from mpsearch.core.formats.levels import Log2Format
from mpsearch.core.types import Policy, Scheme

FEW = {"calibration_samples": 16, "evaluation_samples": 16, "batch_size": 8}


@pytest.fixture
def net():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64))


@pytest.fixture
def batches():
    drawn = torch.Generator().manual_seed(3)
    return [(torch.randn(8, 64, generator=drawn), torch.arange(8)) for _ in range(5)]


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "workspace")


@pytest.fixture
def result(net, batches, place):
    return api.allocate("4bpw", net, data=batches, workspace=place, **FEW)


def test_a_module_and_a_list_of_batches(result):
    policy = result.policy
    assert list(policy.layers) == ["0", "3"]
    assert policy.totals.bits_per_weight <= 4
    assert policy.model.source.endswith("Sequential")
    assert policy.evaluation.samples == 16
    assert policy.evaluation.top1 is not None
    assert result.front.measured
    assert result.verification.winner.label in {"allocated", "uniform W3", "uniform W2"}


def test_the_callers_module_is_not_changed(net, batches, place):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    api.allocate("4bpw", net, data=batches, workspace=place, **FEW)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("estimator", ["kl_probe", "fisher", "weight_error"])
def test_every_estimator_takes_a_module_that_is_being_trained(net, batches, place, estimator):
    result = api.allocate("4bpw", net.train(), data=batches, workspace=place, verify=False,
                          estimator=estimator, **FEW)
    assert result.policy.totals.predicted_loss > 0
    assert result.verification is None
    assert result.front is None


def test_the_same_objects_again_are_not_measured_again(result, net, batches, place):
    again = api.allocate("4bpw", net, data=batches, workspace=place, **FEW)
    assert result.allocation.measured.new_units == 2 * 2  # batches and layers
    assert again.allocation.measured.new_units == 0
    assert again.policy == result.policy


@pytest.mark.usefixtures("result")
def test_changed_weights_or_batches_are_measured_anew(net, batches, place):
    other = [(x + 1, y) for x, y in batches]
    measured = api.measure(net, data=other, workspace=place, calibration_samples=16, batch_size=8,
                           evaluation_samples=16)
    assert measured.new_units == 2 * 2
    with torch.no_grad():
        net[0].weight[0, 0] += 1
    measured = api.measure(net, data=batches, workspace=place, calibration_samples=16,
                           batch_size=8, evaluation_samples=16)
    assert measured.new_units == 2 * 2


def test_calibration_and_evaluation_never_share_a_sample(net, place):
    """Of 10 samples, each is the only one of its kind: five are for each."""
    x = torch.eye(64)[:10]
    result = api.allocate("4bpw", net, data=[x], workspace=place)
    assert result.policy.evaluation.samples == 5
    assert result.policy.evaluation.top1 is None


def test_apply_gives_a_module_that_runs_as_it_was_measured(result, net, batches):
    module = api.apply(result.policy, net, example=batches[0][:1])
    assert isinstance(module, nn.Module)
    for size in (1, 3, 8):
        assert module(batches[0][0][:size]).shape == (size, 64)
    for name, scheme in result.policy.layers.items():
        weight = module.quantized_weights()[name]
        assert weight.shape == net.get_submodule(name).weight.shape
        assert all(len(row.unique()) <= 2**scheme.weight.bits for row in weight)
    stored = dict(net.named_parameters())["0.weight"]
    assert not torch.equal(module.quantized_weights()["0"], stored)


def test_apply_takes_batches_instead_of_an_example(result, net, batches):
    module = api.apply(result.policy, net, data=batches)
    assert module(batches[0][0]).shape == (8, 64)


def test_apply_to_the_embedded_model_needs_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = api.allocate("4bpw", estimator="weight_error", verify=False, **FEW).policy
    module = api.apply(policy)
    assert module(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_evaluate_measures_what_the_policy_says(result, net, batches, tmp_path):
    found = api.evaluate(result.policy, net, data=batches, workspace=str(tmp_path / "new"), **FEW)
    assert found == result.policy.evaluation


def test_a_policy_survives_its_file(result, tmp_path):
    result.policy.save(str(tmp_path / "policy.json"))
    assert Policy.load(str(tmp_path / "policy.json")) == result.policy


def test_a_policy_of_other_weights_is_refused(result, net, batches):
    with torch.no_grad():
        net[3].bias.zero_()
    with pytest.raises(BadInput, match="other weights"):
        api.apply(result.policy, net, data=batches)


@pytest.mark.parametrize(("scheme", "words"), [
    (Scheme(weight=IntFormat(bits=4, granularity="token")), "its granularity can be"),
    (Scheme(weight=Log2Format(bits=4)), "for input or other, not for weight"),
    (Scheme(input=IntFormat(bits=8)), "4s/channel|8s/channel"),
    (Scheme(input=IntFormat(bits=8, granularity="tensor")), "no calibrated range"),
])
def test_a_policy_with_a_format_in_the_wrong_place_is_refused(result, net, batches, scheme, words):
    layer = next(iter(result.policy.layers))
    policy = replace(result.policy, layers={**result.policy.layers, layer: scheme})
    with pytest.raises(BadInput, match=rf"cannot be run: layer '{layer}': .*({words})"):
        api.apply(policy, net, data=batches)


def test_pareto_and_its_plan(net, batches, place):
    front = api.pareto(net, plan=api.FrontPlan(points=5, measure=False), data=batches,
                       workspace=place, **FEW)
    assert 2 <= len(front.predicted) <= 5
    assert front.measured == ()


def test_several_budgets(net, batches, place):
    texts = ["4bpw", "10KB"]
    result = api.allocate(iter(texts), net, data=batches, workspace=place, verify=False, **FEW)
    assert result.policy.provenance["budgets"] == texts
    assert result.policy.totals.file_bytes <= 10_000


@pytest.fixture
def given(net, batches, place):
    """Arguments that would do."""
    return {"budget": "4bpw", "model": net, "data": batches, "workspace": place}


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"budget": "1bpw"}, Infeasible, "1bpw cannot be met"),
    ({"budget": []}, BadInput, "at least one budget"),
    ({"budget": "4 bits"}, BadInput, "cannot read the budget '4 bits'"),
    ({"colour": 3}, BadInput, "colour.*the options are model"),
    ({"data": None}, BadInput, "kl_probe needs data"),
    ({"data": None, "estimator": "weight_error", "verify": False}, BadInput, "without data"),
    ({"data": [3]}, BadInput, "the given data yielded a int"),
    ({"estimator": "none"}, BadInput, "unknown estimator 'none'"),
    ({"batch_size": 0}, BadInput, "batch size must be at least 1"),
    ({"model": nn.ReLU()}, BadInput, "no quantisable layer"),
    ({"model": "no_such_model_at_all", "data": "a.npz"}, BadInput, "no such data: a.npz"),
    ({"model": "mpsearch.zoo.digits:model"}, BadInput, "batches"),
])
def test_refusals_say_what_was_wrong(given, arguments, error, words):
    with pytest.raises(error, match=words):
        api.allocate(**given | arguments)


def test_two_inputs_and_an_output_that_is_a_tuple(place):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(16, 64), nn.Linear(8, 64)

        def forward(self, x, y):
            return self.left(x) + self.right(y).relu(), x

    torch.manual_seed(0)
    data = [{"args": (torch.randn(16, 16), torch.randn(16, 8)), "labels": torch.arange(16)}
            for _ in range(3)]
    result = api.allocate("5bpw", Two(), data=data, workspace=place, **FEW)
    assert list(result.policy.layers) == ["left", "right"]
    assert result.policy.evaluation.samples == 16


@pytest.mark.parametrize("whole", ["tensor", "pair", "dictionary"])
def test_all_samples_may_come_as_one_batch(net, batches, place, whole):
    x, y = (torch.cat(column) for column in zip(*batches, strict=True))
    data = {"tensor": x, "pair": (x, y), "dictionary": {"args": x, "labels": y}}[whole]
    result = api.allocate("4bpw", net, data=data, workspace=place, **FEW)
    assert result.policy.evaluation.samples == 16
    assert (result.policy.evaluation.top1 is None) == (whole == "tensor")


def test_a_label_for_a_whole_sequence_does_not_fit_an_output_for_every_position(net, place):
    data = [(torch.randn(8, 5, 64), torch.arange(8)) for _ in range(4)]
    with pytest.raises(BadInput, match="label"):
        api.allocate("4bpw", net, data=data, workspace=place, **FEW)


def test_sequences_without_labels_are_compared_at_every_position(net, place):
    data = [torch.randn(8, 5, 64) for _ in range(4)]
    policy = api.allocate("4bpw", net, data=data, workspace=place, **FEW).policy
    assert 0 < policy.evaluation.agreement <= 1
    assert policy.evaluation.samples == 16


def test_an_output_of_one_number_cannot_be_compared_as_classes(net, batches, place):
    """Its divergence is zero whatever the policy: an optimum of nothing."""
    one = nn.Sequential(*net[:3], nn.Linear(64, 1))
    with pytest.raises(BadInput, match=r"one class|single"):
        api.allocate("4bpw", one, data=[x for x, _ in batches], workspace=place, **FEW)


def test_a_seed_beyond_what_torch_takes_is_refused(net, batches, place):
    with pytest.raises(BadInput, match="seed"):
        api.measure(net, data=batches, workspace=place, seed=2**70)
