"""A bound on memory changes what is held at a time, and no score."""

from dataclasses import replace

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mpsearch import plugins
from mpsearch.sensitivity.fisher import Fisher
from mpsearch.sensitivity.replay import ReplayEngine
from mpsearch.sensitivity.segments import plan

ENGINES = sorted({plugins.load("estimator", name).engine for name in plugins.names("estimator")})
SHARED = "places"
# An output that all samples share is scored for those that run together.
TOGETHER = {"replay", "moments", "tail"}


class Live(TorchDispatchMode):
    """The most bytes that tensors made within it hold at a time, whoever holds them."""

    def __init__(self):
        super().__init__()
        self.peak, self.known = 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {each.untyped_storage()._cdata for each in tree_leaves((args, kwargs))
                 if isinstance(each, torch.Tensor)}
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                storage = each.untyped_storage()
                if storage._cdata not in given:
                    self.known[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.known = {key: (ref, size) for key, (ref, size) in self.known.items()
                      if not ref.expired()}
        self.peak = max(self.peak, sum(size for _, size in self.known.values()))
        return made


def estimators_of(engine):
    return {name: each for name in plugins.names("estimator")
            if (each := plugins.make("estimator", name)).engine == engine}


def rows(models, study, engine):
    _, ledgers = models.measure_all(plugins.load("engine", engine)(), estimators_of(engine), study)
    return {(name, unit): torch.tensor([value for row in found for value in row],
                                       dtype=torch.float64)
            for name, ledger in ledgers.items() for unit, found in ledger.units.items()}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["deep", "residual", "attention", "language", "branch"])
def test_rows_do_not_depend_on_it(models, name, engine):
    held = 3 if name == "branch" else 5
    study = models.study_of(models.caught(name), models.weights_only(2, 4),
                            [models.inputs_of(name, held)])
    much = rows(models, study, engine)
    little = rows(models, replace(study, memory=1), engine)
    assert much.keys() == little.keys()
    # the differences that aph takes magnify rounding
    relative = 1e-3 if engine == "tail" else 1e-4
    for (estimator, unit), found in much.items():
        if unit.endswith(SHARED) and engine in TOGETHER:
            continue
        torch.testing.assert_close(
            little[estimator, unit], found, rtol=relative, msg=f"{estimator} {unit}",
            atol=0.1 * relative * max(float(found.abs().max()) if len(found) else 0, 1e-9))


def peak(models, study):
    with Live() as live:
        models.measure(ReplayEngine(), Fisher(), study)
    return live.peak


def test_what_is_held_is_counted():
    with Live() as live:
        first = torch.zeros(100)
        second = first + 1
        del first
        third = second.view(10, 10) * 2
        del second
        assert live.peak == 800
        kept = torch.zeros(50, requires_grad=True).exp().exp()  # autograd holds the first
        assert live.peak == 400 + 3 * 200
        del third, kept
        torch.zeros(240)
        assert live.peak == 400 + 3 * 200


def test_less_of_a_deep_network_is_held_at_a_time(models):
    net = models.Chain(depth=32, width=16)
    model = models.catch(net, models.vectors(4))
    study = models.study_of(model, models.weights_only(4), [models.vectors(512)])
    bound = plan(model.program, model.shapes, 512, 1 << 40).bytes
    largest = peak(models, study)
    assert 0.5 * bound < largest < 1.2 * bound
    before = largest
    for share in (2, 4, 8):
        found = peak(models, replace(study, memory=bound // share))
        assert found < before
        assert found < 1.2 * bound / share
        before = found
