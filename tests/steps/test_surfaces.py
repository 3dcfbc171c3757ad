"""The front of two costs behind two kinds of budget."""

import pytest

from mpsearch.core.budget import Budget
from mpsearch.steps.allocate import allocate
from mpsearch.steps.surfaces import surface_of


def allocated(two_layers, make_measured, *texts):
    return allocate(make_measured(two_layers, [[9.0, 5.0, 0.0], [9.0, 1.0, 0.0]]), "kl_probe",
                    [Budget.parse(text) for text in texts])


def test_two_kinds_of_budget_have_a_surface_in_their_units(two_layers, make_measured):
    allocation = allocated(two_layers, make_measured, "4.9bpw", "8bpw", "82kBOPs")
    found = surface_of(allocation, "net")
    assert found.labels == ("bits per weight", "GBOPs")
    assert found.limits == pytest.approx((4.9, 82e-6), rel=1e-3), "the tightest of each"
    assert found.chosen.loss == allocation.selection.objective
    assert found.chosen.x == allocation.totals.bits_per_weight
    assert found.chosen.y == allocation.totals.bops / 1e9
    assert {point.loss for point in found.points} >= {18.0, 0.0}, "from the floor to the ceiling"


@pytest.mark.parametrize("texts", [("4.9bpw",), ("4.9bpw", "8bpw"), ("90kBOPs",)])
def test_one_kind_of_budget_has_none(two_layers, make_measured, texts):
    assert surface_of(allocated(two_layers, make_measured, *texts), "net") is None
