"""What it takes to capture and measure the small networks.

Loaded by path (the fixture `models` in conftest.py), because tests are no package.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import torch
from networks import MODELS
from torch import nn

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import OPERANDS, Group, Scheme, SearchSpace
from mpsearch.fakequant.activations import calibrate
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.fakequant.weights import Weights
from mpsearch.graph.execute import Program, measure_shapes
from mpsearch.graph.layers import find_layers
from mpsearch.graph.trace import trace
from mpsearch.quantizers.base import fake_quantize, from_static
from mpsearch.quantizers.uniform import Uniform
from mpsearch.sensitivity.engine import Job
from mpsearch.sensitivity.engine import measure as run_job
from mpsearch.sensitivity.study import Study
from mpsearch.sources.batch import Batch


@dataclass(frozen=True, kw_only=True)
class Caught:
    """A model with all that is known of it."""

    module: nn.Module
    args: tuple
    traced: object
    program: Program
    shapes: object
    layers: object
    fake: FakeQuantizer

    def spec(self, name):
        return next(spec for spec in self.layers.specs if spec.name == name)


def build(name):
    """A fresh model and a function that makes inputs for so many samples; always the same ones."""
    make, inputs = MODELS[name]
    torch.manual_seed(0)
    module = make().eval().requires_grad_(False)

    def some(samples, seed=1):
        torch.manual_seed(seed)
        return inputs(samples)

    return module, some


def catch(module, args):
    """*module* captured on *args*."""
    module = module.eval().requires_grad_(False)
    traced = trace(module, args)
    shapes = measure_shapes(Program(traced), args)
    layers = find_layers(traced, shapes)
    program = Program(traced, layers.sites, layers.joins)
    fake = FakeQuantizer(layers=layers, weights=Weights(program, layers))
    return Caught(module=module, args=args, traced=traced, program=program, shapes=shapes,
                  layers=layers, fake=fake)


@cache
def caught(name):
    """A model of this file, captured on three samples once a session: leave it as it is."""
    module, inputs = build(name)
    return catch(module, inputs(3))


def inputs_of(name, samples, seed=1):
    """Inputs for a model of this file."""
    return build(name)[1](samples, seed)


def int_format(bits, granularity="channel", **fields):
    return IntFormat(bits=bits, granularity=granularity, **{"scale": "absmax", **fields})


def weights_only(*widths):
    """Schemes that quantize weights to *widths*."""
    return tuple(Scheme(weight=int_format(bits)) for bits in widths)


def weights_and_inputs(weights, activations):
    """Schemes of all weights with all *activations* as input, and as other operand."""
    return tuple(Scheme(weight=int_format(bits), input=fmt, other=fmt)
                 for bits, fmt in product(weights, activations))


def space_of(layers, schemes, *, tie=()):
    """A space that offers *schemes* to each layer; layers of one tuple in *tie* share a group."""
    specs = layers.specs
    home = {name: names for names in tie for name in names}
    groups = {}
    for spec in specs:
        groups.setdefault(home.get(spec.name, (spec.name,)), []).append(spec)
    made = []
    for members in groups.values():
        operands = {name for spec in members for name in OPERANDS[spec.kind]}
        fitting = dict.fromkeys(
            Scheme(**{name: getattr(scheme, name) for name in operands}) for scheme in schemes)
        made.append(Group(name=members[0].name, layers=tuple(spec.name for spec in members),
                          schemes=tuple(fitting)))
    return SearchSpace(name="test", layers=specs, groups=tuple(made))


def study_of(model, schemes, batches, *, tie=(), seed=0):
    """A study of a captured *model* on *batches* (tuples of arguments)."""
    space = space_of(model.layers, schemes, tie=tie)
    return Study(space=space, program=model.program, shapes=model.shapes,
                 fake=FakeQuantizer(layers=model.layers,
                                    weights=Weights(model.program, model.layers)),
                 ranges=calibrate(model.program, space, batches), seed=seed,
                 batches=[Batch(args=args) for args in batches])


def decided(model, scheme, batch):
    """*scheme* on every layer of a captured *model*, and the ranges that *batch* calibrates."""
    study = study_of(model, (scheme,), [batch])
    schemes = {spec.name: scheme.for_kind(spec.kind) for spec in model.layers.specs}
    ranges = {layer: chosen_ranges(study.ranges, layer, {"input": own.input, "other": own.other})
              for layer, own in schemes.items()}
    return schemes, ranges


class MemoryLedger:
    """A ledger that forgets at the end, and remembers what it was asked to note."""

    def __init__(self, units=()):
        self.units = dict(units)
        self.noted = []

    def get(self, unit):
        return self.units.get(unit)

    def put(self, unit, rows):
        assert unit not in self.units, f"{unit} was measured twice"
        self.units[unit] = rows
        self.noted.append(unit)


def measure_all(engine, estimators, study, ledgers=None, progress=lambda _units: None):
    """The tables of all *estimators* of one engine, and their ledgers after it."""
    ledgers = ledgers or {name: MemoryLedger() for name in estimators}
    job = Job(engine=engine, estimators=estimators, study=study, ledgers=ledgers)
    return run_job(job, progress), ledgers


def measure(engine, estimator, study, ledger=None, name="it"):
    """The table of one *estimator*, and the ledger after it."""
    ledgers = {name: MemoryLedger() if ledger is None else ledger}
    tables, _ = measure_all(engine, {name: estimator}, study, ledgers)
    return tables[name], ledgers[name]


def quantized_copy(module, schemes, ranges=None):
    """*module* with weights replaced and inputs quantized on the way in, by hooks.

    An independent way to what the simulated backend does, for linear and convolution modules.
    """
    module, quantizer = deepcopy(module), Uniform()
    for name, scheme in schemes.items():
        layer = module.get_submodule(name)
        if scheme.weight is not None:
            params = quantizer.fit(layer.weight, [scheme.weight])[0]
            layer.weight = nn.Parameter(
                fake_quantize(quantizer, layer.weight, params, scheme.weight), requires_grad=False)
        if scheme.input is not None:
            static = None if scheme.input.dynamic else ranges[name]["input"]
            layer.register_forward_pre_hook(partial(_quantize_input, scheme.input, static))
    return module


def _quantize_input(fmt, static, layer, args):
    (x,) = args
    quantizer = Uniform()
    axes = (-1,) if isinstance(layer, nn.Linear) else tuple(range(1, x.dim()))
    if static is None:
        return fake_quantize(quantizer, x, quantizer.fit(x, [fmt], axes)[0], fmt, axes)
    return fake_quantize(quantizer, x, from_static(static), fmt)
