"""The nine bit configurations that HAWQ-V3 published for ResNet-18, with their tied layers."""

import itertools
import json

import numpy as np
import pytest

from mpsearch.allocation.coupled import Coupled
from mpsearch.allocation.dynamic import Dynamic
from mpsearch.allocation.hull import Hull
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem

BITS = ("4", "8")
EXACT = [Ilp(), Ilp(expansions=0), Hull(), Dynamic(), Coupled()]
CASES = list(itertools.product(("modelsize_mib", "bops_g", "latency_ms_t4"), (0.75, 0.5, 0.25)))


@pytest.fixture(scope="module")
def published(test_data):
    path = test_data / "golden" / "hawq_v3_resnet18.json"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {path.parent}")
    return json.loads(path.read_text())


@pytest.mark.parametrize(("metric", "fraction"), CASES)
@pytest.mark.parametrize("allocator", EXACT, ids=str)
def test_a_published_configuration_is_reproduced(published, metric, fraction, allocator):
    trace = np.array(published["trace"])
    losses = np.stack([trace * published["perturbation"][bits] for bits in BITS], axis=1)
    costs = np.stack([published["cost"][metric][bits] for bits in BITS], axis=1)
    low, high = costs.sum(axis=0)
    problem = Problem(losses=tuple(losses), costs=(tuple(costs),), metrics=(metric,),
                      limits=(low + fraction * (high - low),), groups=tuple(published["layers"]))
    tied = problem.tie(published["ties"])
    selection = allocator(tied.problem)
    choice = tied.expand(selection.choice)
    assert [int(BITS[k]) for k in choice] == published["expected_bits"][f"{metric}_{fraction}"]
    assert problem.meets(choice)
