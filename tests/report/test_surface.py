import matplotlib.pyplot as plt
import numpy as np
import pytest

from mpsearch.core import io
from mpsearch.report.surface import (
    Surface,
    SurfacePoint,
    draw_surface,
    least_losses,
    save_surface,
)


def surface(points=((2, 1.0, 0.5), (3, 2.0, 0.1), (5, 1.5, 0.02)), limits=(4.0, 2.5)):
    made = tuple(SurfacePoint(x=x, y=y, loss=loss) for x, y, loss in points)
    return Surface(model="net", estimator="kl_probe", unit="nats",
                   labels=("bits per weight", "GBOPs"), limits=limits, points=made,
                   chosen=made[len(made) // 2])


def test_the_least_loss_within_both_limits():
    found = least_losses(surface().points, np.array([1.0, 2.0, 3.0, 5.0]),
                         np.array([0.5, 1.0, 1.5, 2.0]))
    none = np.nan
    np.testing.assert_array_equal(found, [
        [none, none, none, none], [none, 0.5, 0.5, 0.5], [none, 0.5, 0.5, 0.02],
        [none, 0.5, 0.1, 0.02]])


def test_it_is_drawn_twice_with_the_same_bytes_and_leaves_matplotlib_alone(tmp_path):
    before = dict(plt.rcParams)
    first = [path.read_bytes() for path in draw_surface(surface(), tmp_path / "one.x")]
    again = [path.read_bytes() for path in draw_surface(surface(), tmp_path / "two")]
    assert first == again
    assert first[0].startswith(b"\x89PNG")
    assert b"<svg" in first[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.x.png", "one.x.svg", "two.png", "two.svg"]
    assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []


@pytest.mark.parametrize("odd", [
    surface(points=((2, 1.0, 0.5),)), surface(points=((2, 1.0, 0.0), (3, 1.0, -1.0))),
    surface(limits=(1e9, 1e-9))])
def test_odd_surfaces_are_drawn_too(tmp_path, odd):
    assert all(path.stat().st_size > 5000 for path in draw_surface(odd, tmp_path / "odd"))


def test_its_numbers_are_saved(tmp_path):
    save_surface(surface(), tmp_path / "it.json")
    assert io.load(tmp_path / "it.json", Surface) == surface()
