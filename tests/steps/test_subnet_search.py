"""A search over bits and sub-networks: what it measures is what its policies lose, everywhere."""

import json

import pytest
import torch

from mpsearch import api, metrics
from mpsearch.backends.simulated import Simulated
from mpsearch.core.types import Policy
from mpsearch.sources.batch import Batch, Batches
from mpsearch.steps.batch_runs import BatchRuns
from mpsearch.steps.capture import capture
from mpsearch.steps.choice import left_out, runnable, schemes_of
from mpsearch.steps.search_plan import SearchPlan
from mpsearch.steps.session import open_session
from mpsearch.steps.trial_data import search_data
from mpsearch.workspace import Workspace

SPACE = """
[[rule]]
weight = [{ bits = [2, 4, 8] }, { kind = "sparse24", bits = 8 }]
input = { bits = [8] }
[[subnet]]
skip = true
heads = [0.25, 0.5]
mlp = [0.25, 0.4, 0.75]
"""
FEW = {"calibration_samples": 16, "evaluation_samples": 16, "batch_size": 8}
PLAN = {"trials": 8, "samples": 16}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def net(models):
    torch.manual_seed(5)
    module = models.PreNorm()
    with torch.no_grad():
        module.proj.weight *= 3
        module.fc2.weight *= 2
    return module.eval()


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    drawn = torch.Generator().manual_seed(5)
    folder = tmp_path_factory.mktemp("subsearch")
    (folder / "space.toml").write_text(SPACE)
    return {"data": [(torch.randn(8, 5, 8, generator=drawn),) for _ in range(8)], **FEW,
            "workspace": str(folder / "workspace"), "space": str(folder / "space.toml")}


@pytest.fixture(scope="module")
def opened(net, options):
    """The session, what was measured, and the samples that decide."""
    given = {name: value for name, value in options.items() if name != "workspace"}
    session = open_session(net, Workspace(options["workspace"]), given)
    measured = api.measure(net, estimators=["kl_probe"], **options)
    return session, measured, search_data(session, PLAN["samples"])


def from_scratch(net, layers, data, ranges=None):
    """The loss of every sample, as trials keep it, by a capture that nothing was kept from."""
    captured = capture(net, data.batches.batches[0].args, source="again")
    module = Simulated()(captured.program, captured.fake, layers, ranges or {})
    with torch.no_grad():
        return tuple(value for batch in data.batches for value in metrics.kl(
            captured.program.run(batch.args), module(*batch.args)).float().tolist())


@pytest.mark.parametrize("sampler", ["loop", "nsga2"])
def test_the_written_policy_loses_what_the_search_measured(net, options, opened, tmp_path,
                                                           sampler):
    found = api.search("4bpw", net, plan=SearchPlan(sampler=sampler, storage="memory", **PLAN),
                       **options)
    place = tmp_path / "policy.json"
    found.policy.save(str(place))
    best, written = found.searched.best, Policy.load(str(place))
    assert from_scratch(net, written.layers, opened[2], written.activations) == best.samples
    assert found.policy.totals.bits_per_weight <= 4
    assert found.policy.evaluation.kl == found.judged.measured["search"].evaluation.kl
    assert best.loss <= found.searched.start.loss
    assert found.report.left_out == left_out(written.layers)


def test_runs_that_begin_at_kept_values_lose_the_same(opened):
    """Every move: a branch skipped and back, another width, other units, other bits of both."""
    session, measured, data = opened
    data = Batches.of([Batch(args=batch.args) for batch in data.batches])
    groups = measured.record.space.groups
    whole = [len(group.schemes) - 1 for group in groups]
    kept, begun, before = BatchRuns(session, measured, data), set(), None
    for number, group in enumerate(groups):
        for scheme in range(0, len(group.schemes), 3):
            choice = tuple(scheme if place == number else other
                           for place, other in enumerate(whole))
            losses = list(kept.all(choice, before))
            assert losses == list(BatchRuns(session, measured, data).all(choice, None))
            begun.add(kept._reuse._first > 0 and bool(kept._reuse._kept))
            before = choice  # whatever ran last: the next one begins from its values
    assert True in begun, "no run began from another's values"


@pytest.mark.parametrize("objectives", [("loss", "bops", "size"), ("loss", "latency")])
def test_a_front_has_the_costs_of_what_stays(net, options, opened, objectives):
    found = api.search_front(objectives, net, device="zen5", verify=False,
                             plan=SearchPlan(trials=24, samples=16, storage="memory"), **options)
    space = opened[1].record.space
    kept = [{str(scheme.keep) for scheme in schemes_of(space, point.choice).values()
             if scheme.keep} for point in found.points]
    assert {"skip"} in kept
    assert any(each and each != {"skip"} for each in kept) or "size" not in objectives
    costs = opened[1].costs()
    for point in found.points:
        assert point.held_out is None
        assert point.left_out == left_out(schemes_of(space, point.choice))
        assert point.totals.bops == costs["bops"].total(point.choice)
        assert point.totals.size_bits == costs["size"].total(point.choice)
    for point in found.points[::4]:
        policy = runnable(opened[1], point.choice)
        losses = from_scratch(net, policy.schemes, opened[2], policy.ranges)
        assert sum(losses) / len(losses) == point.loss
    smallest = min(found.points, key=lambda point: point.totals.size_bits)
    assert all((not layer.startswith("fc") and layer not in {"qkv", "proj"}) or scheme.skips
               for layer, scheme in schemes_of(space, smallest.choice).items())


def test_a_space_of_sub_networks_alone_is_searched(net, options, tmp_path):
    (tmp_path / "alone.toml").write_text(SPACE.partition("[[subnet]]")[2].join(
        ("[[subnet]]", "")))
    own = {**options, "space": str(tmp_path / "alone.toml")}
    found = api.search("26bpw", net, plan=SearchPlan(storage="memory", **PLAN), **own)
    assert found.policy.totals.bits_per_weight <= 26
    assert any(scheme.keep for scheme in found.policy.layers.values())
    assert json.loads(json.dumps(dict(found.report.importance)))
