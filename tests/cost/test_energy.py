"""Energy by hand, from a table of round numbers."""

import pytest

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.cost.energy import HOROWITZ_45NM, EnergyTable, energy, layer_energy

ROUND = EnergyTable(name="r", source="s", macs={"4": 1.0, "8": 2.0}, float_mac=10.0,
                    weight_byte=100.0, activation_byte=1000.0)


def test_a_small_network_by_hand(hand):
    found = energy(hand.space, hand.flow, ROUND)
    bits = hand.menu[0].weight.stored_bits((8, 4))
    assert found.table.values[0][0] == round(
        32 * 1 + bits / 8 * 100 + (4 * 4 + 8 * 32) / 8 * 1000)
    wide = hand.menu[2].weight.stored_bits((8, 4))
    assert found.table.values[0][2] == round(32 * 10 + wide / 8 * 100 + (4 + 8) * 4 * 1000)
    assert found.fixed == 16 * 4 * 1000, "the GELU; a view is free"
    assert found.total((0, 0)) == pytest.approx(
        (found.table.values[0][0] + found.table.values[1][0] + found.fixed) / 1e9)


@pytest.mark.parametrize(("bits", "cost"), [(2, 1), (4, 1), (5, 2), (8, 2), (9, 10), (None, 10)])
def test_an_operation_takes_the_narrowest_width_that_holds_its_operands(bits, cost):
    assert ROUND.mac(bits) == cost


def test_the_published_numbers():
    """Horowitz, ISSCC 2014: 8-bit multiply 0.2 and add 0.03, float32 3.7 and 0.9 pJ."""
    assert HOROWITZ_45NM.mac(8) == pytest.approx(0.3)
    assert HOROWITZ_45NM.mac(None) == pytest.approx(4.6)
    assert HOROWITZ_45NM.weight_byte == pytest.approx(162.5)


def test_fewer_bits_never_cost_more(hand):
    table = energy(hand.space, hand.flow).table
    assert all(list(row) == sorted(row) for row in table.values)


def test_a_table_without_numbers_is_refused():
    with pytest.raises(BadInput, match="positive picojoules"):
        EnergyTable(name="x", source="", macs={}, float_mac=1, weight_byte=1,
                    activation_byte=1)


def test_a_float_scheme_costs_float(hand):
    piece, spec = hand.flow.steps[0].pieces[0], hand.space.layers[0]
    assert layer_energy(piece, spec, Scheme(), ROUND) == (
        32 * 10 + 32 * 4 * 100 + (4 + 8) * 4 * 1000)
