import pytest

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace, StaticRange
from mpsearch.steps.choice import runnable, schemes_of, totals_of, uniform_choices


def bits_of(space, choice):
    return [scheme.weight.bits if scheme.weight else None
            for scheme in schemes_of(space, choice).values()]


def test_a_uniform_choice_for_every_width(two_layers):
    found = uniform_choices(two_layers)
    assert found == {"uniform W2": (0, 0), "uniform W4": (1, 1), "uniform W8": (2, 2)}


def test_pins_are_kept(make_space, weight):
    space = make_space({"pinned": ((4, 16), [weight(8)]),
                        "free": ((4, 16), [weight(2), weight(4)])})
    found = uniform_choices(space)
    assert {tuple(bits_of(space, choice)) for choice in found.values()} == {(8, 2), (8, 4)}
    assert len(found) == 2, "8 bits everywhere is not on the menu: what is nearest is there already"


def test_a_layer_without_the_width_takes_the_nearest_and_the_wider_of_two(make_space, weight):
    space = make_space({"even": ((4, 16), [weight(bits) for bits in (2, 4, 6)]),
                        "odd": ((4, 16), [weight(bits) for bits in (3, 5)])})
    found = {tuple(bits_of(space, choice)) for choice in uniform_choices(space).values()}
    assert found == {(2, 3), (4, 5), (6, 5), (4, 3)}


def test_labels_say_the_layout_only_where_widths_do_not_tell(make_space, weight):
    menu = [weight(4, "group:32"), weight(4, "channel"), weight(8)]
    found = uniform_choices(make_space({"one": ((4, 64), menu)}))
    assert list(found.values()) == [(0,), (1,), (2,)]
    assert list(found) == ["uniform W4s/group:32", "uniform W4s/channel", "uniform W8"]


def attention():
    """A linear layer and a product, with activations."""
    eight, four = (IntFormat(bits=bits, granularity="token") for bits in (8, 4))
    layers = (LayerSpec(name="fc", kind="linear", weight="fc.weight", weight_shape=(8, 8)),
              LayerSpec(name="product", kind="matmul"))
    linear = tuple(Scheme(weight=IntFormat(bits=w), input=a) for w in (4, 8) for a in (four, eight))
    products = (Scheme(input=four, other=four), Scheme(input=eight, other=eight))
    return SearchSpace(name="both", layers=layers, groups=(
        Group(name="fc", layers=("fc",), schemes=linear),
        Group(name="product", layers=("product",), schemes=products)))


def test_a_product_follows_the_activations_of_the_uniform_scheme():
    space = attention()
    for choice in uniform_choices(space).values():
        schemes = schemes_of(space, choice)
        assert schemes["product"].input == schemes["product"].other == schemes["fc"].input
    assert len(uniform_choices(space)) == 4


def test_a_space_of_products_only_has_uniform_choices_too():
    both = attention()
    space = SearchSpace(name="products", layers=both.layers[1:], groups=both.groups[1:])
    assert list(uniform_choices(space).values()) == [(0,), (1,)]


def test_members_of_a_group_share_the_scheme_as_far_as_they_have_the_operands(weight):
    fmt = IntFormat(bits=8, granularity="token")
    layers = (LayerSpec(name="table", kind="embedding", weight="table.weight",
                        weight_shape=(8, 8)),
              LayerSpec(name="head", kind="linear", weight="table.weight", weight_shape=(8, 8)))
    scheme = Scheme(weight=weight(4).weight, input=fmt)
    space = SearchSpace(name="tied", layers=layers, groups=(
        Group(name="table", layers=("table", "head"), schemes=(scheme,)),))
    assert schemes_of(space, (0,)) == {"table": weight(4), "head": scheme}


def test_totals_add_up(two_layers, make_measured):
    measured = make_measured(two_layers, [[3.0, 2.0, 1.0], [0.5, 0.25, 0.0]], other_bytes=7)
    totals = totals_of(measured, (0, 1), measured.tables["kl_probe"])
    first = 4 * 16 * 2 + 4 * 16 + 8
    last = 8 * 64 * 4 + 8 * 16 + 8
    assert totals.size_bits == first + last
    assert totals.weights == 64 + 512
    assert totals.bits_per_weight == (first + last) / 576
    assert totals.file_bytes == (first + last) // 8 + 7
    assert totals.bops == 64 * 2 * 32 + 512 * 4 * 32
    assert totals.predicted_loss == 3.25
    assert totals.measured_loss is None


def test_only_static_activations_carry_their_range(make_measured):
    static = IntFormat(bits=8, granularity="tensor", symmetric=False)
    dynamic = IntFormat(bits=8, granularity="token")
    layers = (LayerSpec(name="fc", kind="linear", weight="fc.weight", weight_shape=(8, 8)),)
    space = SearchSpace(name="both", layers=layers, groups=(
        Group(name="fc", layers=("fc",), schemes=(Scheme(input=static), Scheme(input=dynamic))),))
    found = StaticRange(scale=0.5, zero_point=3)
    ranges = {"fc": {"input": {static.key: found}}}
    measured = make_measured(space, ranges=ranges)
    assert runnable(measured, (0,)).ranges == {"fc": {"input": found}}
    assert runnable(measured, (1,)).ranges == {}


def test_a_choice_of_the_wrong_length_is_a_mistake(two_layers):
    with pytest.raises(ValueError, match="zip"):
        schemes_of(two_layers, (0,))
