"""What estimators cost, in forward passes of a small transformer."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from mpsearch import plugins
from mpsearch.sensitivity.kl_probe import KlProbe
from mpsearch.sensitivity.probe import ProbeEngine
from mpsearch.sensitivity.replay import ReplayEngine

WIDTHS = (2, 3, 4, 5, 6, 8)


@pytest.fixture(scope="module")
def study(models):
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=4, embed_dim=192,
                            num_heads=3, num_classes=10)
    args = (torch.randn(4, 3, 64, 64),)
    made = models.study_of(models.catch(net, args), models.weights_only(*WIDTHS), [args])
    for group in made.space.groups:  # quantizing weights is no pass
        made.prepare(group)
    return made


def flops(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def forward(study):
    return flops(lambda: study.program.run(study.batches[0].args))


def replayed(models, study, *, but=()):
    names = {name for name in plugins.names("estimator")
             if plugins.load("estimator", name).engine == "replay"} - set(but)
    assert len(names) >= 6
    estimators = {name: plugins.make("estimator", name) for name in names}
    return flops(lambda: models.measure_all(ReplayEngine(), estimators, study))


def test_replay_costs_two_passes_and_one_for_each_scheme(models, study, forward):
    spent = replayed(models, study, but=["lrp"])
    assert len(WIDTHS) * forward < spent <= (2 + len(WIDTHS)) * forward


def test_relevance_costs_one_pass_more(models, study, forward):
    # and in the first convolution, by its own rule, three runs forward and three back
    assert replayed(models, study) <= (3.5 + len(WIDTHS)) * forward


def test_a_probe_runs_little_more_than_half_of_the_graph(models, study, forward):
    runs = len(WIDTHS) * len([group for group in study.space.groups if group.schemes])
    spent = flops(lambda: models.measure(ProbeEngine(), KlProbe(), study))
    assert 0.3 * runs * forward < spent <= 0.6 * runs * forward
