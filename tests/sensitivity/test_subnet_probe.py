"""Probes of candidates that leave parts of a network out measure what those policies lose."""

from dataclasses import replace

import pytest
import torch

from mpsearch import metrics
from mpsearch.backends.simulated import Simulated
from mpsearch.core.formats import IntFormat
from mpsearch.core.keep import Keep
from mpsearch.core.types import Group, Scheme, SearchSpace
from mpsearch.sensitivity.kl_probe import KlProbe
from mpsearch.sensitivity.probe import ProbeEngine


def candidates(branch):
    units = branch.narrowing.units if branch.narrowing else 1
    some = [Keep.of(branch.name, units, range(1, units, 2))] if units > 1 else []
    four = IntFormat(bits=4)
    return (Scheme(keep=Keep.of(branch.name, units, ())),
            *(Scheme(weight=fmt, keep=keep) for keep in some for fmt in (four, None)),
            Scheme(weight=four), Scheme())


@pytest.mark.parametrize("name", ["language", "sdpa", "tokens_first"])
def test_a_probe_is_the_loss_of_the_policy(models, name):
    caught = models.caught(name)
    inputs = models.inputs_of(name, 3)
    branches = {branch.name: branch for branch in caught.layers.branches}
    alone = [spec.name for spec in caught.layers.specs if not spec.branch]
    groups = (*(Group(name=name, layers=branch.layers, schemes=candidates(branch))
                for name, branch in branches.items()),
              *(Group(name=name, layers=(name,), schemes=(Scheme(),)) for name in alone))
    study = models.study_of(caught, (Scheme(),), [inputs])
    study = replace(study, space=SearchSpace(name="s", layers=caught.layers.specs, groups=groups))
    table, _ = models.measure(ProbeEngine(), KlProbe(), study)
    reference = caught.program.run(inputs)
    assert branches
    for group, row in zip(groups, table.values, strict=True):
        for scheme, found in zip(group.schemes, row, strict=True):
            every = {spec.name: scheme if spec.name in group.layers else Scheme()
                     for spec in caught.layers.specs}
            with torch.no_grad():
                output = Simulated()(caught.program, caught.fake, every, {})(*inputs)
            expected = float(metrics.kl(reference, output).mean())
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-7)
        assert len(row) == 1 or row[0] > 0
