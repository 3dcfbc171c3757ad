"""Variants that run together give what they give apart."""

import pytest
import torch
from torch import nn

from mpsearch.graph.execute import Program
from mpsearch.sensitivity import stack as stacks
from mpsearch.sensitivity.kl_probe import KlProbe
from mpsearch.sensitivity.probe import ProbeEngine
from mpsearch.sensitivity.stack import Stack

SAMPLES = 3


class Centred(nn.Module):
    """Takes the mean over the batch away, so that samples know of each other."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return self.head(x - x.mean(0, keepdim=True))


@pytest.fixture
def starts(monkeypatch):
    """Numbers of samples that a rest of the graph was finished on."""
    seen = []
    original = Program.finish

    def finish(self, env, *rest, **options):
        output = original(self, env, *rest, **options)
        seen.append(len(output))
        return output

    monkeypatch.setattr(Program, "finish", finish)
    return seen


def study_of(models, model, args, *widths):
    return models.study_of(model, models.weights_and_inputs(
        widths or (2, 3, 4), [None, models.int_format(4, "token")]), [args])


def at_groups(study, args, stack):
    """For each group: the outputs of its schemes together, and one after the other."""
    program, env, place = study.program, study.program.start(args), 0
    with torch.no_grad():
        for group in study.order:
            program.advance(env, place, study.first(group))
            place = study.first(group)
            variants = [study.changes(group, scheme) for scheme in group.schemes
                        if not scheme.is_float]
            together = stack.outputs(env, place, SAMPLES, variants)
            yield together, [program.finish(dict(env), place, each) for each in variants]


def test_on_every_network_they_give_what_they_give_apart(models):
    free = [name for name in models.MODELS if models.caught(name).program.traced.batch is None]
    assert len(free) > 20
    for name in free:
        model, args = models.caught(name), models.inputs_of(name, SAMPLES)
        stack = Stack(study_of(models, model, args))
        for together, apart in at_groups(stack.study, args, stack):
            assert len(together) == len(apart)
            for one, other in zip(together, apart, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)
        assert stack.trusted, name


def test_a_model_that_mixes_its_samples_is_found_out(models, starts):
    torch.manual_seed(0)
    model, args = models.catch(Centred(), models.vectors()), models.vectors(SAMPLES)
    stack = Stack(study_of(models, model, args))
    for together, apart in at_groups(stack.study, args, stack):
        for one, other in zip(together, apart, strict=True):
            assert torch.equal(one, other)
    assert stack.trusted is False
    assert starts.count(SAMPLES) == len(starts) - 1, "one stack was tried"


def test_large_stacks_run_in_parts(models, starts, monkeypatch):
    monkeypatch.setattr(stacks, "_SAMPLES", 2 * SAMPLES + 1)
    model, args = models.caught("chain"), models.inputs_of("chain", SAMPLES)
    stack = Stack(study_of(models, model, args, 2, 3, 4))
    list(at_groups(stack.study, args, stack))
    assert max(starts) == 2 * SAMPLES
    assert stack.trusted is True


@pytest.mark.parametrize("name", ["residual", "attention", "language", "branch"])
def test_a_table_does_not_depend_on_it(models, name, monkeypatch):
    model, args = models.caught(name), models.inputs_of(name, SAMPLES)
    study = study_of(models, model, args)
    together, _ = models.measure(ProbeEngine(), KlProbe(), study)
    monkeypatch.setattr(stacks, "_SAMPLES", 1)
    apart, _ = models.measure(ProbeEngine(), KlProbe(), study)
    for one, other in zip(together.values, apart.values, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-9)
