"""A supernet by two methods: its networks are tried, each with the best bits for it."""

import pytest
import torch
from torch import nn

from mpsearch import api
from mpsearch.core.errors import BadInput, Infeasible

pytestmark = pytest.mark.usefixtures("one_thread")
FEW = {"calibration_samples": 16, "evaluation_samples": 8, "batch_size": 8}


class Cut(nn.Module):
    """The first hidden units of a shared network, and as many of its blocks."""

    def __init__(self, shared, width, depth):
        super().__init__()
        self.shared, self.width, self.depth = shared, width, depth

    def forward(self, x):
        for up, down in self.shared.blocks[: self.depth]:
            hidden = nn.functional.relu(nn.functional.linear(x, up.weight[: self.width]))
            x = x + nn.functional.linear(hidden, down.weight[:, : self.width])
        return self.shared.head(x)


class Elastic:
    """Two blocks of which the second does nothing, and half of the hidden units neither."""

    def __init__(self):
        torch.manual_seed(0)
        self.shared = nn.Module()
        self.shared.blocks = nn.ModuleList(
            nn.ModuleList([nn.Linear(8, 12), nn.Linear(12, 8)]) for _ in range(2))
        self.shared.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.shared.blocks[1][1].weight *= 1e-4
            self.shared.blocks[0][1].weight[:, 6:] *= 1e-4
            self.shared.blocks[0][1].weight *= 3

    def choices(self):
        return {"width": (12, 6), "depth": (2, 1)}

    def with_choices(self, chosen):
        return Cut(self.shared, **chosen)


class Copies(Elastic):
    """The same networks, each with no more weights than it needs."""

    def with_choices(self, chosen):
        width, depth = chosen["width"], chosen["depth"]
        blocks = [nn.Linear(8, width, bias=False) if part == 0 else nn.Linear(
            width, 8, bias=False) for _ in range(depth) for part in range(2)]
        for number, made in enumerate(blocks):
            whole = self.shared.blocks[number // 2][number % 2].weight
            made.weight = nn.Parameter(whole[:width] if number % 2 == 0 else whole[:, :width])
        return Chained(blocks, self.shared.head)


class Chained(nn.Module):
    def __init__(self, blocks, head):
        super().__init__()
        self.blocks, self.head = nn.ModuleList(blocks), head

    def forward(self, x):
        for up, down in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            x = x + down(nn.functional.relu(up(x)))
        return self.head(x)


@pytest.fixture(scope="module")
def batches():
    drawn = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 8, generator=drawn),) for _ in range(4)]


@pytest.fixture
def options(batches, tmp_path):
    return {"data": batches, "workspace": str(tmp_path), **FEW}


def test_the_best_network_is_the_one_without_what_does_nothing(options):
    found = api.search_supernet(Copies(), "31kBOPs", **options)  # of 408 MACs or 120
    assert found.possible == len(found.tried) == 4
    assert found.tried[0].chosen == {"width": 12, "depth": 2}
    assert found.best.chosen == {"width": 6, "depth": 1}
    assert found.best.kl == min(each.kl for each in found.tried)
    assert {scheme.weight.bits for scheme in found.best.policy.layers.values()} == {8}
    assert 2 in {scheme.weight.bits for scheme in found.tried[0].policy.layers.values()}
    assert found.best.policy.totals.bops <= 31000
    assert found.best.policy.provenance["choices"] == {"width": "6", "depth": "1"}
    assert found.best.held_out >= 0


def test_networks_that_share_weights_are_told_apart(options):
    supernet = Elastic()
    supernet.choices = lambda: {"width": (12, 2, 7, 8), "depth": (2,)}
    found = api.search_supernet(supernet, "1MiB", most=2, seed=1, **options)
    assert (len(found.tried), found.possible) == (2, 4)
    whole, other = found.tried
    assert whole.chosen == {"width": 12, "depth": 2}
    assert other.chosen["width"] == 2
    assert other.kl > 10 * whole.kl


def test_a_budget_that_no_network_meets_is_refused(options):
    with pytest.raises(Infeasible, match=r"none of the 1 networks that were tried meets .*1kBOPs"):
        api.search_supernet(Copies(), "1kBOPs", most=1, **options)


@pytest.mark.parametrize(("given", "message"), [
    ({"budget": "3bpw"}, "3bpw is another size for every network"),
    ({"most": 0}, "at least one network must be tried, not 0"),
    ({"budget": []}, "budget"),
])
def test_what_cannot_be_searched_is_refused(options, given, message):
    with pytest.raises(BadInput, match=message):
        api.search_supernet(Copies(), **{"budget": "1MiB", **options, **given})


def test_choices_must_have_options(options):
    supernet = Copies()
    supernet.choices = lambda: {"width": ()}
    with pytest.raises(BadInput, match=r"choices\(\) must name at least one choice"):
        api.search_supernet(supernet, "1MiB", **options)
