"""A probe measures what running the whole quantized model measures, on less work."""

import pytest
import torch

from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.graph.execute import Program
from mpsearch.metrics import kl
from mpsearch.sensitivity.kl_probe import KlProbe
from mpsearch.sensitivity.probe import ProbeEngine


@pytest.fixture
def calls(monkeypatch):
    """Operations that a program runs."""
    seen = []
    original = Program._call

    def call(self, env, node, *rest):
        seen.append(node)
        return original(self, env, node, *rest)

    monkeypatch.setattr(Program, "_call", call)
    return seen


def schemes_of(models):
    formats = [None, models.int_format(4, "tensor", symmetric=False), models.int_format(4, "token")]
    return (*models.weights_and_inputs((3,), formats), Scheme(input=formats[1]), Scheme())


def naive(models, study, module, group, scheme):
    """Mean divergence of the model with one group quantized, run as a whole."""
    ranges = {layer: chosen_ranges(study.ranges, layer, {"input": scheme.input})
              for layer in group.layers}
    changed = models.quantized_copy(module, dict.fromkeys(group.layers, scheme), ranges)
    values = []
    for batch in study.batches:
        p, q = (m(*batch.args).double().log_softmax(-1) for m in (module, changed))
        values.append((p.exp() * (p - q)).sum(-1))
    return float(torch.cat(values).mean())


@pytest.mark.parametrize(("name", "tie"), [
    ("chain", ()), ("residual", ()), ("residual", (("conv1", "conv3", "down"),)), ("dense", ()),
    ("twice", ()),
])
def test_it_equals_running_the_quantized_model(models, name, tie):
    model = models.caught(name)
    batches = [models.inputs_of(name, n, seed=n) for n in (3, 2)]
    study = models.study_of(model, schemes_of(models), batches, tie=tie)
    table, _ = models.measure(ProbeEngine(), KlProbe(), study)
    for group, row in zip(study.space.groups, table.values, strict=True):
        for scheme, value in zip(group.schemes, row, strict=True):
            expected = naive(models, study, model.module, group, scheme)
            assert value == pytest.approx(expected, rel=1e-3, abs=1e-9)
            assert (value > 0) == (not scheme.is_float)


@pytest.mark.parametrize(("name", "tie"), [
    ("stored", ()), ("autoencoder", ()), ("language", (("tokens", "head"),)),
    ("language_product", (("tokens", "tokens.linear"),)), ("sdpa_gqa", ()), ("branch", ()),
    ("mha_weights", ()),
])
def test_it_equals_running_the_simulated_backend(models, name, tie):
    model, args = models.caught(name), models.inputs_of(name, 3)
    schemes = models.weights_and_inputs((3,), [models.int_format(4, "token")])
    study = models.study_of(model, schemes, [args], tie=tie)
    table, _ = models.measure(ProbeEngine(), KlProbe(), study)
    reference = model.program.run(args)
    for group, (value,) in zip(study.space.groups, table.values, strict=True):
        quantized = Simulated()(model.program, study.fake,
                                dict.fromkeys(group.layers, group.schemes[0]), {})
        assert value == pytest.approx(float(kl(reference, quantized(*args)).mean()), rel=1e-4)
        assert value > 0


def test_groups_are_scored_in_the_order_of_the_space(models):
    model = models.caught("chain")
    study = models.study_of(model, models.weights_only(2), [models.inputs_of("chain", 3)],
                            tie=(("layers.2", "layers.0"),))
    table, ledger = models.measure(ProbeEngine(), KlProbe(), study)
    assert table.groups == tuple(group.name for group in study.space.groups)
    assert [[value] for (value,) in table.values] == [
        [sum(ledger.units[f"0/{group}"][0]) / 3] for group in table.groups]


def test_activations_before_the_group_are_kept_and_schemes_run_together(models, calls):
    model = models.caught("deep")
    study = models.study_of(model, models.weights_only(2, 4, 8), [models.inputs_of("deep", 2)])
    whole = sum(node.op == "call_function" for node in model.program.nodes)
    groups = len(study.space.groups)
    calls.clear()
    models.measure(ProbeEngine(), KlProbe(), study)
    # One run of the rest for all schemes of a group, half of the graph in the mean; the float
    # output, the way through, and once the check of a group's schemes by running them apart.
    assert len(calls) <= (0.5 * groups + 3) * whole + 3 * groups
    assert len(calls) > 0.4 * groups * whole


def test_finished_groups_are_not_probed_and_change_nothing(models, calls):
    model = models.caught("deep")
    study = models.study_of(model, models.weights_only(2, 4), [models.inputs_of("deep", 2)])
    calls.clear()
    whole, ledger = models.measure(ProbeEngine(), KlProbe(), study)
    all_calls = len(calls)
    early = {f"0/layers.{n}": ledger.units[f"0/layers.{n}"] for n in range(6)}
    calls.clear()
    resumed = models.MemoryLedger(early)
    assert models.measure(ProbeEngine(), KlProbe(), study, resumed)[0] == whole
    assert resumed.noted == [f"0/layers.{n}" for n in range(6, 12)]
    assert len(calls) < 0.6 * all_calls
    calls.clear()
    assert models.measure(ProbeEngine(), KlProbe(), study, resumed)[0] == whole
    assert calls == []


def test_probes_serve_all_estimators(models, calls):
    study = models.study_of(models.caught("chain"), models.weights_only(2, 4),
                            [models.inputs_of("chain", 2)])
    calls.clear()
    models.measure(ProbeEngine(), KlProbe(), study)
    alone = len(calls)
    calls.clear()
    steps = []
    tables, _ = models.measure_all(ProbeEngine(), {"one": KlProbe(), "two": KlProbe()}, study,
                                   progress=steps.append)
    assert tables["one"].values == tables["two"].values
    assert len(calls) == alone
    assert sum(steps) == 2 * len(ProbeEngine().units(study, KlProbe()))


def test_a_padded_batch_is_measured_without_its_padding(models):
    model = models.caught("branch")
    (x,) = models.inputs_of("branch", 3)
    study = models.study_of(model, models.weights_only(2), [(x,), (x[:1],)])
    _, ledger = models.measure(ProbeEngine(), KlProbe(), study)
    for group in study.space.groups:
        (whole,), (part,) = (ledger.units[f"{number}/{group.name}"] for number in (0, 1))
        assert (len(whole), len(part)) == (3, 1)
        assert part[0] == pytest.approx(whole[0])


def test_an_output_that_is_not_finite_is_refused_by_name(models):
    bias = models.caught("chain").module.layers[1].bias
    study = models.study_of(models.caught("chain"), models.weights_only(2),
                            [models.inputs_of("chain", 2)])
    before = bias[0].clone()
    try:
        bias[0] = torch.nan
        with pytest.raises(BadInput, match=r"layer 'layers\.1'"):
            models.measure(ProbeEngine(), KlProbe(), study)
    finally:
        bias[0] = before
