"""A small flow with every kind of step, by hand: what each cost must make of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mpsearch.core.flow import Flow, Piece, Reader, Step, Stored
from mpsearch.core.formats import IntFormat
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace


def linear(name, given, made):
    return Piece(operation="linear", kind="layer", layer=name, macs=given * made, inputs=given,
                 outputs=made, weights=given * made, shape=f"1x{given}*{made}x{given}>1x{made}")


GELU = Piece(operation="gelu", kind="activation", shape="1x8>1x8", inputs=8, outputs=8)
VIEW = Piece(operation="view", kind="view", shape="1x8>8", inputs=8, outputs=8)
FLOW = Flow(
    steps=(Step(name="first", pieces=(linear("first", 4, 8),)),
           Step(name="gelu", pieces=(GELU,), after=0),
           Step(name="view", pieces=(VIEW,), after=1),
           Step(name="last", pieces=(linear("last", 8, 2),), after=2)),
    tensors=(
        Stored(name="x", elements=4, bits=32, first=-1, last=0,
               readers=(Reader(layer="first", operand="input"),)),
        Stored(name="first", elements=8, bits=32, first=0, last=1, floating=True),
        Stored(name="gelu", elements=8, bits=32, first=1, last=3,
               readers=(Reader(layer="last", operand="input"),)),
        Stored(name="last", elements=2, bits=32, first=3, last=3, floating=True)))


def scheme(weight, taken=None):
    return Scheme(weight=weight and IntFormat(bits=weight, granularity="channel"),
                  input=taken and IntFormat(bits=taken, granularity="token"))


MENU = (scheme(4, 4), scheme(8, 8), scheme(8))


@pytest.fixture(scope="session")
def hand():
    """The flow, its space, and tables of made-up times for it."""
    layers = tuple(LayerSpec(name=name, kind="linear", weight=f"{name}.weight",
                             weight_shape=shape, macs=shape[0] * shape[1])
                   for name, shape in (("first", (8, 4)), ("last", (2, 8))))
    space = SearchSpace(name="s", layers=layers, groups=tuple(
        Group(name=layer.name, layers=(layer.name,), schemes=MENU) for layer in layers))

    def table(times=lambda _key: 1.0, **changed):
        rows = tuple(Timing(operation=key[0], shape=key[1], scheme=key[2], batch=1, threads=1,
                            milliseconds=times(key)) for key in FLOW.needed(space))
        return MachineTable(**{"device": "box", "provider": "hand", "cpu": "c",
                               "origin": "imported", "rows": rows, **changed})

    return SimpleNamespace(flow=FLOW, space=space, table=table, menu=MENU, scheme=scheme)
