"""Walks see every layer under every scheme, and never both products of attention in float."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.flow import Flow, Piece, Step
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.steps.laps import by_step, shortest
from mpsearch.steps.timings import read
from mpsearch.steps.walks import plan

FLOAT = Scheme()
WIDTHS = [Scheme(input=IntFormat(bits=bits, granularity="token")) for bits in (2, 3, 4, 8)]
menus = st.lists(st.sampled_from([FLOAT, *WIDTHS]), max_size=5, unique=True)


def layer(name, operation="linear"):
    return Piece(operation=operation, shape=name, kind="layer", layer=name)


def plain(name):
    return Piece(operation=name, shape=name, kind="arithmetic")


SDPA = Step(name="sdpa", pieces=(Piece(operation="attention", shape="all", kind="attention"),),
            opened=(layer("qk", "matmul"), plain("softmax"), layer("av", "matmul")))
FLOW = Flow(steps=(Step(name="pad", pieces=(plain("pad"),)),
                   Step(name="qkv", pieces=(layer("qkv"),)), SDPA,
                   Step(name="view", pieces=(plain("view"),)),
                   Step(name="proj", pieces=(layer("proj"),))), tensors=())


@given(menus, menus, menus)
def test_every_layer_is_noted_once_under_every_scheme(linear, qk, av):
    offered = {"qkv": linear, "qk": qk, "av": av}
    walks = plan(FLOW, offered)
    assert walks[0].schemes == {}
    noted = [(name, walk.schemes[name]) for walk in walks for name in walk.noted]
    assert len(noted) == len(set(noted))
    missing = {(name, own) for name, menu in offered.items() for own in menu} - set(noted)
    for name, own in missing:
        other = offered[{"qk": "av", "av": "qk"}[name]]
        assert own.is_float
        assert all(each.is_float for each in other), "it never runs as a product"
    for walk in walks:
        if {"qk", "av"} & set(walk.noted):
            assert not (walk.schemes["qk"].is_float and walk.schemes["av"].is_float)


def test_there_are_no_more_walks_than_the_longest_menu_has_schemes():
    assert len(plan(FLOW, {"qkv": WIDTHS, "qk": WIDTHS, "av": WIDTHS})) == 1 + len(WIDTHS)
    assert len(plan(FLOW, {"qk": [WIDTHS[0], FLOAT], "av": [WIDTHS[0], FLOAT]})) == 3


def times(**steps):
    """Milliseconds by step, (first product, softmax, rest) or the whole."""
    return [part for step in FLOW.steps for part in (
        steps[step.name] if isinstance(steps[step.name], tuple) else (0, 0, steps[step.name]))]


def test_a_layer_pays_for_what_it_makes_the_next_operations_take():
    offered = {"qkv": [WIDTHS[0]], "qk": [WIDTHS[0], FLOAT], "av": [WIDTHS[0], FLOAT]}
    walks = plan(FLOW, offered)
    found = read(FLOW, walks, [
        times(pad=1, qkv=10, sdpa=20, view=2, proj=5),
        times(pad=1.5, qkv=6, sdpa=(7, 4, 8), view=2.5, proj=5),
        times(pad=1, qkv=6, sdpa=(9, 4, 3), view=2, proj=5)], {})
    noted = {name: walks[1].schemes[name] for name in ("qk", "av")}
    assert sorted(map(str, noted.values())) == sorted([str(WIDTHS[0]), "float"])
    assert found["linear", "qkv", "float"] == 10
    assert found["linear", "qkv", str(WIDTHS[0])] == 6
    assert found["attention", "all", "float"] == 20
    assert found["softmax", "softmax", "float"] == 4
    assert found["matmul", "qk", str(noted["qk"])] == 7
    assert found["matmul", "av", str(noted["av"])] == 8 + 0.5, "the view takes longer behind it"
    assert found["matmul", "av", str(walks[2].schemes["av"])] == 3
    assert found["view", "view", "float"] == 2
    assert found["pad", "pad", "float"] == 1, "what runs before all layers is nobody's"


def test_a_product_that_is_only_in_float_is_what_is_left_of_the_whole():
    walks = plan(FLOW, {"qk": [FLOAT], "av": [WIDTHS[0], FLOAT]})
    found = read(FLOW, walks, [times(pad=1, qkv=1, sdpa=20, view=1, proj=1)] + [
        times(pad=1, qkv=1, sdpa=(7, 4, 8), view=1, proj=1)] * (len(walks) - 1), {})
    assert found["matmul", "qk", "float"] == 7
    assert found["matmul", "av", "float"] == 20 - 4 - 7


def test_schemes_that_run_alike_share_their_time():
    walks = plan(FLOW, {"qkv": [WIDTHS[0]]})
    found = read(FLOW, walks, [times(pad=1, qkv=3, sdpa=1, view=1, proj=1)] * 2, {
        ("qkv", WIDTHS[0]): ["A", "B"], ("qkv", FLOAT): ["W4", "float"]})
    assert {found["linear", "qkv", name] for name in ("A", "B", "W4", "float")} == {3}


@pytest.fixture
def clock(monkeypatch):
    """A clock that only marks move."""
    import mpsearch.graph.laps as own

    made = SimpleNamespace(now=0)
    monkeypatch.setattr(own.time, "perf_counter_ns", lambda: made.now)
    return made


def test_laps_are_put_down_to_steps_and_the_shortest_counts(clock):
    from mpsearch.graph.laps import CHANCES, LOGITS, mark

    passes = iter([1, 3, 2])

    def run():
        slow = next(passes)
        for name, taken in (("size", 1), ("pad", 2), ("getitem", 4), ("qkv", 8), (LOGITS, 16),
                            (CHANCES, 32), ("sdpa", 64), ("view", 128), ("proj", 256),
                            ("output", 512)):
            clock.now += taken * slow * 1_000_000
            mark(name)

    found = by_step(shortest(run, FLOW, 2), FLOW)
    assert found == {"pad": (0, 0, 2 * (1 + 2 + 4)), "qkv": (0, 0, 16), "sdpa": (32, 64, 128),
                     "view": (0, 0, 256), "proj": (0, 0, 2 * (256 + 512))}


def test_what_tells_nothing_cannot_be_timed():
    from mpsearch.core.errors import Unsupported

    with pytest.raises(Unsupported, match="does not tell"):
        shortest(lambda: None, FLOW)
