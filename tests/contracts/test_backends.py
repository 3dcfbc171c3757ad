"""What every backend promises: float stays float, policies run, and the model is untouched."""

from itertools import pairwise

import pytest
import torch

from mpsearch import plugins
from mpsearch.core.errors import Unsupported
from mpsearch.core.types import Scheme
from mpsearch.graph.fingerprint import fingerprint

RUNS_ALL = {"simulated", "integer"}
"""Backends that refuse nothing here; others say in one line what they cannot run."""
MODELS = ("chain", "residual", "attention", "sdpa", "language", "stored")


@pytest.fixture(params=plugins.names("backend"))
def backend(request):
    return plugins.load("backend", request.param)()


@pytest.fixture
def widths(request):
    """Bits of weights and activations; kernels for more than 8 are not asked of every backend."""
    runs_all = request.node.callspec.params["backend"] in RUNS_ALL
    return (3, 8, 12) if runs_all else (3, 8)


@pytest.fixture
def run(models, backend, request):
    """A model of models.py with *scheme* on every layer, and its calibrated ranges."""
    def make(name, scheme):
        model = models.caught(name)
        schemes, ranges = models.decided(model, scheme, models.inputs_of(name, 3))
        try:
            return backend(model.program, model.fake, schemes, ranges)
        except Unsupported as refusal:
            line = str(refusal)
        assert request.node.callspec.params["backend"] not in RUNS_ALL, line
        assert line.startswith(("layer '", "input '"))
        assert "\n" not in line
        pytest.skip(line)
    return make


def scheme_of(models, weight, activation):
    return Scheme(weight=models.int_format(weight), input=activation, other=activation)


@pytest.mark.parametrize("name", MODELS)
def test_float_schemes_reproduce_the_float_model(models, run, name):
    args = models.inputs_of(name, 4)
    torch.testing.assert_close(run(name, Scheme())(*args), models.caught(name).module(*args))


@pytest.mark.parametrize("granularity", ["token", "tensor"])
@pytest.mark.parametrize("name", MODELS)
def test_policies_run_and_lose_less_with_more_bits(models, run, widths, name, granularity):
    args = models.inputs_of(name, 4)
    reference = models.caught(name).module(*args)
    errors = []
    for bits in widths:
        scheme = scheme_of(models, bits, models.int_format(bits, granularity, symmetric=False))
        output = run(name, scheme)(*args)
        assert output.shape == reference.shape
        errors.append(float((output - reference).square().mean()))
    assert all(more > fewer > 0 for more, fewer in pairwise(errors))


@pytest.mark.parametrize("name", MODELS)
def test_the_original_is_untouched(models, run, name):
    model, args = models.caught(name), models.inputs_of(name, 2)
    before, output = fingerprint(model.module), model.program.run(args)
    run(name, scheme_of(models, 2, models.int_format(4, "token")))(*args)
    assert fingerprint(model.module) == before
    assert torch.equal(model.program.run(args), output)


def test_the_same_policy_gives_the_same_numbers(models, run):
    scheme, args = scheme_of(models, 4, models.int_format(8, "tensor")), models.inputs_of("sdpa", 3)
    assert torch.equal(run("sdpa", scheme)(*args), run("sdpa", scheme)(*args))
