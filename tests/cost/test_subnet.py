"""What is left of a branch costs what a network with that alone would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Piece, Reader, Step, Stored
from mpsearch.core.formats import IntFormat
from mpsearch.core.keep import Keep
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.cost.activations import peak_bytes
from mpsearch.cost.bops import bit_operations
from mpsearch.cost.energy import energy
from mpsearch.cost.latency import latency
from mpsearch.cost.profiles import load_profile
from mpsearch.cost.roofline import predict
from mpsearch.cost.size import size, stored_bits

UNITS = 12
FORMATS = st.sampled_from([None, IntFormat(bits=3), IntFormat(bits=4, granularity="group:4"),
                           IntFormat(bits=5, granularity="tensor")])


def linear(name, given, made, **fields):
    return LayerSpec(name=name, kind="linear", weight=f"{name}.weight", weight_shape=(made, given),
                     input_shape=(5, given), output_shape=(5, made), macs=5 * given * made,
                     **fields)


def piece(layer):
    rows, columns = layer.weight_shape
    return Piece(operation="linear", kind="layer", layer=layer.name, macs=layer.macs,
                 inputs=5 * columns, outputs=5 * rows, weights=rows * columns,
                 shape=f"5x{columns}*{rows}x{columns}>5x{rows}")


def network(units, *, branch=False):
    """Two layers with so many units between them, as a *branch* or not, and one after them."""
    inside = {"branch": "mlp", "units": units} if branch else {}
    fc1 = linear("fc1", 8, units, **inside, narrows="rows" if branch else "")
    fc2 = linear("fc2", units, 8, **inside, narrows="columns" if branch else "")
    return fc1, fc2, linear("head", 8, 3)


def costs(layers, schemes, head):
    """Every cost of the branch in each of *schemes* beside a head in one."""
    branch = tuple(layer.name for layer in layers[:2])
    space = SearchSpace(name="s", layers=layers, groups=(
        Group(name="fc1", layers=branch, schemes=schemes),
        Group(name="head", layers=("head",), schemes=(head,))))
    flow = Flow(steps=tuple(Step(name=layer.name, pieces=(piece(layer),)) for layer in layers),
                tensors=(Stored(name="x", elements=40, bits=32, first=-1, last=0, readers=(
                    Reader(layer="fc1", operand="input"),)),))
    machine = predict(load_profile("zen5"), space, flow)
    return (size(space).values[0], energy(space, flow).table.values[0],
            latency(space, flow, machine).table.values[0],
            [peak_bytes(flow, dict.fromkeys(branch, scheme)) for scheme in schemes])


WHOLE = network(UNITS, branch=True)


@given(st.integers(1, UNITS), FORMATS)
def test_narrowed_layers_cost_what_narrower_layers_do(count, fmt):
    scheme = Scheme(weight=fmt)
    kept = Scheme(weight=fmt, keep=Keep.of("mlp", UNITS, range(count)))
    for layer, small in zip(WHOLE[:2], network(count)[:2], strict=True):
        assert stored_bits(layer, kept) == stored_bits(small, scheme)
        assert bit_operations(layer, kept) == bit_operations(small, scheme)
    head = Scheme(weight=IntFormat(bits=8))
    narrowed, small = costs(WHOLE, (kept, scheme), head), costs(network(count), (scheme,), head)
    for cost in range(2):
        assert narrowed[cost][0] == small[cost][0]
        assert (narrowed[cost][0] < narrowed[cost][1]) == (count < UNITS)


def test_products_of_heads_shrink_with_them():
    layer = LayerSpec(name="qk", kind="matmul", input_shape=(4, 5, 6), other_shape=(4, 6, 5),
                      output_shape=(4, 5, 5), macs=600, branch="attn", units=4, narrows="heads")
    kept = Scheme(keep=Keep.of("attn", 4, (1,)))
    assert bit_operations(layer, kept) == 150 * 32 * 32
    assert stored_bits(layer, kept) == 0


def test_a_skipped_branch_costs_nothing():
    skip = Scheme(keep=Keep.of("mlp", UNITS, ()))
    whole = Scheme(weight=IntFormat(bits=4))
    bits, joules, times, peaks = costs(WHOLE, (skip, whole), whole)
    assert bits[0] == joules[0] == times[0] == peaks[0] == 0
    assert min(bits[1], joules[1], times[1], peaks[1]) > 0


def test_measured_tables_know_skipped_branches_and_no_narrowed_ones(hand):
    skip = Scheme(keep=Keep.of("mlp", 8, ()))
    half = Scheme(weight=hand.menu[2].weight, keep=Keep.of("mlp", 8, range(4)))

    def offering(*schemes):
        first, last = hand.space.groups
        groups = (Group(name="first", layers=("first",), schemes=(*first.schemes, *schemes)), last)
        return SearchSpace(name="s", layers=hand.space.layers, groups=groups)

    table = latency(offering(skip), hand.flow, hand.table()).table
    assert table.values[0][-1] == 0
    assert table.values[0][0] > 0
    with pytest.raises(Unsupported, match="those of narrowed layers are only predicted"):
        latency(offering(half), hand.flow, hand.table())
