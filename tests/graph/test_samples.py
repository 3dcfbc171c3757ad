"""The samples are found in any dimension, folded with anything, and summed apart."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.graph.samples import SampleAxis, disturbed, find_axis, per_sample, repeat


@given(before=st.integers(1, 3), parts=st.integers(1, 3), samples=st.integers(2, 4),
       run=st.integers(1, 3), after=st.integers(1, 3))
def test_sums_are_those_of_each_sample_alone(before, parts, samples, run, after):
    whole = torch.randn(before, parts, samples, run, after, dtype=torch.float64)
    axis = SampleAxis(dim=1, run=run)
    found = per_sample(whole.reshape(before, -1, after), axis, samples)
    torch.testing.assert_close(found, whole.sum((0, 1, 3, 4)))


@given(before=st.integers(1, 3), parts=st.integers(1, 3), samples=st.integers(2, 4),
       run=st.integers(1, 3), known=st.booleans())
def test_the_axis_is_found_where_the_first_sample_differs(before, parts, samples, run, known):
    whole = torch.randn(before, parts, samples, run, 2)
    other = whole.clone()
    other[:, :, 0] += 1
    fold = (before, parts * samples * run, 2)
    axis = find_axis(whole.reshape(fold), other.reshape(fold), samples, 1 if known else None)
    assert axis is not None
    values = torch.randn(fold, dtype=torch.float64)
    torch.testing.assert_close(per_sample(values, axis, samples),
                               values.reshape(whole.shape).sum((0, 1, 3, 4)))


def test_a_tensor_in_which_nothing_differs_is_shared():
    x = torch.randn(4, 3)
    assert find_axis(x, x, 4, None) is None
    assert find_axis(x, x, 4, 0) == SampleAxis(dim=0, run=1)


def test_mixed_samples_are_taken_in_order():
    x = torch.randn(4, 3)
    assert find_axis(x, x + 1, 2, None) == SampleAxis(dim=0, run=2)


def test_shared_values_keep_the_mean_square_of_independent_gradients():
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(4000, 8, 5, generator=generator)  # draws, samples, elements
    change = torch.randn(5, generator=generator)
    apart = (gradients @ change).square().mean()
    shared = torch.stack([per_sample(g.sum(0) * change, None, 8) for g in gradients])
    assert shared.shape == (4000, 8)
    assert float(shared.square().mean()) == pytest.approx(float(apart), rel=0.1)
    assert float(per_sample(torch.ones(9), None, 9)[0]) == pytest.approx(9 / math.sqrt(9))


def test_disturbing_changes_every_number_of_the_first_sample_only():
    floats, ids = torch.zeros(3, 4), torch.tensor([[2, 5, 9], [5, 5, 2], [9, 2, 2]])
    truth, scalar = torch.ones(3, 2, dtype=torch.bool), torch.tensor(1.0)
    changed = disturbed((floats, ids, truth, scalar))
    for before, after in zip((floats, ids), changed, strict=False):
        assert bool((before[0] != after[0]).all())
        assert torch.equal(before[1:], after[1:])
    assert set(changed[1].flatten().tolist()) <= {2, 5, 9}
    assert changed[2] is truth
    assert changed[3] is scalar


def test_repeating_starts_over():
    x, scalar = torch.arange(3), torch.tensor(5)
    assert repeat((x, scalar), 5)[0].tolist() == [0, 1, 2, 0, 1]
    assert repeat((x, scalar), 2)[0].tolist() == [0, 1]
    assert repeat((x, scalar), 2)[1] is scalar


@pytest.mark.parametrize(("name", "layer", "axis"), [
    ("chain", "layers.0", SampleAxis(dim=0)),
    ("windows", "inside", SampleAxis(dim=0, run=2)),
    ("tokens_first", "encoder.layers.0.linear1", SampleAxis(dim=1)),
    # torch folds tokens and samples, tokens first
    ("tokens_first", "encoder.layers.0.self_attn.out_proj", SampleAxis(dim=0, run=1)),
    ("mha", "attn.out_proj", SampleAxis(dim=0, run=1)),
    # samples and heads, samples first
    ("mha_weights", "attn.matmul_0", SampleAxis(dim=0, run=2)),
    ("language", "places", None),
    ("language", "tokens", SampleAxis(dim=0)),
    ("branch", "second", SampleAxis(dim=0)),
    ("branch_tokens_first", "inner.1.linear", SampleAxis(dim=1)),
])
def test_samples_are_found_in_models(models, name, layer, axis):
    model = models.caught(name)
    (site,) = [site for site in model.layers.sites if layer in site.layers]
    assert model.shapes.sample_axes[site.node] == axis


@pytest.mark.parametrize("name", ["windows", "tokens_first", "mha", "mha_weights", "dense"])
def test_sums_of_a_batch_are_the_sums_of_its_samples(models, name):
    model = models.caught(name)
    args = models.inputs_of(name, 3)

    def sums(args, samples):
        found = {}

        def watch(site, _args, _kwargs, output, _env):
            axis = model.shapes.sample_axes[site.node]
            found[site.layers] = per_sample(output.double(), axis, samples)
            return output

        model.program.run(args, watch=watch)
        return found

    together = sums(args, 3)
    for n in range(3):
        for layers, alone in sums(tuple(arg[n:n + 1] for arg in args), 1).items():
            torch.testing.assert_close(together[layers][n], alone[0], rtol=1e-4, atol=1e-4)
