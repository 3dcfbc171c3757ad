"""Small networks under a policy of integers, and a watch for floating point."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mpsearch.backends.integer_only.backend import IntegerOnly
from mpsearch.backends.simulated import Simulated
from mpsearch.core.types import Scheme
from mpsearch.fakequant.keys import chosen_ranges


class NoFloats(TorchDispatchMode):
    """Notes every operation that sees a floating-point tensor or number, or makes one."""

    def __init__(self):
        super().__init__()
        self.seen, self.found = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.seen.append(str(func))
        if any(floating(leaf) for leaf in tree_leaves((args, kwargs, made))):
            self.found.append(str(func))
        return made


def floating(leaf):
    if isinstance(leaf, torch.dtype):
        return leaf.is_floating_point or leaf.is_complex
    if isinstance(leaf, torch.Tensor):
        return leaf.is_floating_point() or leaf.is_complex()
    return isinstance(leaf, float | complex)


@pytest.fixture
def no_floats():
    return NoFloats


@pytest.fixture(scope="session")
def caught(models):
    """A module captured on its inputs, once a session."""
    known = {}

    def made(module, args):
        if id(module) not in known:
            known[id(module)] = models.catch(module, args), module
        return known[id(module)][0]
    return made


@pytest.fixture(scope="session")
def integers(models, caught):
    """A module with integers everywhere: by `integer_only`, and by `simulated`; made once."""
    known = {}

    def once(module, args, *, model=None, **settings):
        key = id(module), id(args), *sorted(settings.items())
        if key not in known:
            own = made(model or caught(module, args), args, **settings)
            known[key] = own, module, args  # who is alive keeps the number
        return known[key][0]

    def made(model, args, *, weight=8, activation=8, **settings):
        fmt = models.int_format(activation, "tensor", symmetric=False)
        scheme = Scheme(weight=models.int_format(weight), input=fmt, other=fmt)
        ranges = models.study_of(model, (scheme,), [args]).ranges
        schemes = {spec.name: scheme.for_kind(spec.kind) for spec in model.layers.specs}
        chosen = {layer: chosen_ranges(ranges, layer, {"input": own.input, "other": own.other})
                  for layer, own in schemes.items()}
        policy = (model.program, model.fake, schemes, chosen)
        return SimpleNamespace(whole=IntegerOnly(**settings)(*policy),
                               simulated=Simulated()(*policy))
    return once
