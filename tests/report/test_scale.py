"""Limits of the loss axes, and how two units are lined up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.report.scale import (
    LossAxes,
    all_one_size,
    by_rank,
    matching_factor,
    padded_limits,
    separate,
)


def in_other_units(front, factor):
    return replace(
        front, unit="squared weight",
        predicted=tuple(replace(p, predicted_loss=p.predicted_loss * factor)
                        for p in front.predicted),
        measured=tuple(replace(p, predicted_loss=None if p.predicted_loss is None
                               else p.predicted_loss * factor) for p in front.measured))


def with_kl(front, kl, stderr=0.0):
    return replace(front, measured=tuple(
        replace(p, evaluation=replace(p.evaluation, kl=kl, kl_stderr=stderr))
        for p in front.measured))


@given(st.lists(st.floats(1e-9, 1e9), min_size=1))
def test_limits_leave_room_on_both_sides(heights):
    low, high = padded_limits(heights)
    assert 0 < low < min(heights)
    assert max(heights) < high


@pytest.mark.parametrize("heights", [[], [0.0], [-1.0, 0.0], [float("inf")]])
def test_limits_without_a_positive_height(heights):
    assert padded_limits(heights) == (1e-3, 1.0)


def test_losses_in_nats_share_an_axis(front):
    assert not separate(front)
    assert matching_factor(front) == 1.0


@pytest.mark.parametrize("factor", [1e-6, 1.0, 4e4])
def test_another_unit_is_moved_onto_the_measured_points(front, factor):
    # the fixture predicts half of what is measured
    assert matching_factor(in_other_units(front, factor)) == pytest.approx(factor / 2)


def test_without_predictions_of_measured_points_the_means_meet(front):
    other = in_other_units(front, 100.0)
    blind = replace(other, measured=tuple(replace(p, predicted_loss=None) for p in other.measured
                                          if p.kind == "allocated"))
    assert matching_factor(blind) == pytest.approx(50.0)


def test_nothing_to_compare_leaves_the_unit_alone(front):
    assert matching_factor(with_kl(in_other_units(front, 7.0), 0.0)) == 1.0


def test_one_side_alone_needs_one_axis(front):
    assert not separate(replace(in_other_units(front, 7.0), measured=()))
    assert not separate(replace(in_other_units(front, 7.0), predicted=()))


@pytest.mark.parametrize("factor", [None, 3e5])
def test_the_axes_hold_every_point_and_bar(front, factor):
    shown = front if factor is None else in_other_units(front, factor)
    axes = LossAxes.of(shown)
    low, high = axes.limits
    for point in shown.measured:
        assert low < point.evaluation.kl - point.evaluation.kl_stderr
        assert point.evaluation.kl + point.evaluation.kl_stderr < high
    assert all(low < point.predicted_loss / axes.factor < high for point in shown.predicted)


def test_a_bar_down_to_zero_does_not_stretch_the_axis(front):
    low, _ = LossAxes.of(replace(with_kl(front, 1e-2, 1e-2 - 1e-12), predicted=())).limits
    assert low > 1e-3


def test_policies_of_one_size_are_ranked_by_loss(front):
    same = replace(front, predicted=(), measured=tuple(
        replace(point, bits_per_weight=32.0) for point in front.measured))
    assert all_one_size(same)
    ranked = by_rank(same)
    losses = [point.evaluation.kl for point in ranked.measured]
    assert losses == sorted(losses, reverse=True)
    assert [point.bits_per_weight for point in ranked.measured] == list(range(len(losses)))
    for point in ranked.predicted:
        twin = ranked.measured[round(point.bits_per_weight)]
        assert point.predicted_loss == twin.predicted_loss


def test_different_sizes_and_single_points_are_not_ranked(front):
    assert not all_one_size(front)
    assert not all_one_size(replace(front, predicted=(), measured=front.measured[:1]))
    assert not all_one_size(replace(front, measured=()))
