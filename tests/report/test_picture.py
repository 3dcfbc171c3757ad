"""Pictures: what they show, that hard cases are drawn, and that the bytes never change."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from PIL import Image

from mpsearch.core.errors import BadInput
from mpsearch.report import picture
from mpsearch.report.curves import chosen_in_words
from mpsearch.report.front import BitsRow, Front, LayerBits, save_front
from mpsearch.report.picture import draw
from mpsearch.report.strip import block_starts, shade
from mpsearch.report.style import LOOK, decimal, drawn, short


@pytest.fixture
def compose():
    """Composes a figure in the pictures' own look and lays it out."""
    def make(front):
        figure = picture._compose(front)
        figure.draw_without_rendering()
        return figure

    with mpl.rc_context(LOOK):
        yield make


def strip(columns, bits=4, label="p"):
    names = tuple(f"blocks.{i // 4}.part{i % 4}" for i in range(columns))
    return LayerBits(names=names, rows=(BitsRow(label=label, operand="weight",
                                                bits=(bits,) * columns),))


def with_bits(front, bits):
    return replace(front, measured=tuple(replace(p, bits_per_weight=bits) for p in front.measured))


def with_kl(front, kl):
    return replace(front, measured=tuple(
        replace(p, evaluation=replace(p.evaluation, kl=kl, kl_stderr=0.0))
        for p in front.measured))


def labels_of(axes):
    return {text.get_text() for text in axes.get_legend().get_texts()}


def test_writes_a_png_and_an_svg(front, tmp_path):
    paths = draw(front, tmp_path / "deep" / "policy.v1")
    assert [path.name for path in paths] == ["policy.v1.png", "policy.v1.svg"]
    with Image.open(paths[0]) as image:
        image.verify()
        assert round(image.info["dpi"][0]) == 150
        assert "Software" not in image.info
    drawing = ET.parse(paths[1]).getroot()  # noqa: S314 - written by the line above
    assert drawing.tag.endswith("svg")
    assert "dc:date" not in paths[1].read_text()


def test_a_picture_is_known_by_the_numbers_it_shows(front, tmp_path):
    assert drawn(front, tmp_path / "p") is None
    paths = draw(front, tmp_path / "p")
    assert drawn(front, tmp_path / "p") == paths
    assert drawn(replace(front, chosen="another"), tmp_path / "p") is None
    draw(replace(front, unit="bits"), tmp_path / "other")
    paths[0].write_bytes((tmp_path / "other.png").read_bytes())
    assert drawn(front, tmp_path / "p") is None, "both files must show it"
    paths[0].unlink()
    assert drawn(front, tmp_path / "p") is None


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("missing", [1, 4096])
def test_a_picture_that_was_cut_short_is_drawn_again(front, tmp_path, place, missing):
    paths = draw(front, tmp_path / "p")
    assert drawn(front, tmp_path / "p") == paths
    whole = paths[place].read_bytes().rstrip()
    paths[place].write_bytes(whole[:-missing])
    assert drawn(front, tmp_path / "p") is None


def test_the_same_front_gives_the_same_bytes_in_another_process(front, tmp_path):
    paths = draw(front, tmp_path / "here")
    save_front(front, tmp_path / "front.json")
    program = ("import sys; from mpsearch.report.front import load_front; "
               "from mpsearch.report.picture import draw; "
               "draw(load_front(sys.argv[1]), sys.argv[2])")
    subprocess.run([sys.executable, "-c", program, tmp_path / "front.json", tmp_path / "there"],
                   check=True)
    for path in paths:
        assert path.read_bytes() == path.with_stem("there").read_bytes()


def test_settings_of_the_user_neither_matter_nor_change(front, tmp_path):
    plain = draw(front, tmp_path / "plain")
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "black"}):
        odd = draw(front, tmp_path / "odd")
        assert mpl.rcParams["font.size"] == 30.0
    assert [path.read_bytes() for path in plain] == [path.read_bytes() for path in odd]


def test_a_place_that_cannot_be_written_is_one_line(front, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write"):
        draw(front, tmp_path / "file" / "policy")


def test_measured_points_stand_where_they_were_measured(front, compose):
    axes = compose(front).axes[0]
    allocated, uniform = axes.containers
    for container, kind in ((allocated, "allocated"), (uniform, "uniform")):
        points = [p for p in front.measured if p.kind == kind]
        assert list(container.lines[0].get_xdata()) == [p.bits_per_weight for p in points]
        assert list(container.lines[0].get_ydata()) == [p.evaluation.kl for p in points]
        ends = [y for bar in container.lines[2][0].get_segments() for y in sorted(bar[:, 1])]
        assert ends == pytest.approx([p.evaluation.kl + side * p.evaluation.kl_stderr
                                      for p in points for side in (-1, 1)])


def test_axes_say_what_they_show(front, compose):
    figure = compose(front)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert "bits per weight" in axes.get_xlabel()
    assert "nats" in axes.get_ylabel()
    title = figure.get_suptitle()
    assert "here.model:make" in title
    assert "mixed against uniform" in title
    assert "500 samples" in title
    assert labels_of(axes) == {
        "mixed precision, measured", "uniform precision, measured",
        "mixed precision, predicted by kl_probe", "chosen: 4.5bpw"}


def test_the_legend_covers_no_data_and_nothing_leaves_the_page(front, compose):
    figure = compose(front)
    axes = figure.axes[0]
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1
    page, everything = figure.bbox, figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert page.x0 <= everything.x0
    assert everything.x1 <= page.x1
    assert page.y0 <= everything.y0
    assert everything.y1 <= page.y1


def test_losses_in_another_unit_have_their_own_axis(front, compose):
    other = replace(front, unit="squared weight", predicted=tuple(
        replace(p, predicted_loss=1000 * p.predicted_loss) for p in front.predicted),
        measured=tuple(replace(p, predicted_loss=p.predicted_loss and 1000 * p.predicted_loss)
                       for p in front.measured))
    left, _, right = compose(other).axes
    assert "squared weight" in right.get_ylabel()
    assert "shifted" in right.get_ylabel()
    ratios = [high / low for low, high in zip(left.get_ylim(), right.get_ylim(), strict=True)]
    assert ratios == pytest.approx([500, 500])
    assert len(compose(front).axes) == 2


def test_without_measurements_the_axis_is_the_prediction(front, compose):
    figure = compose(replace(front, measured=(), unit="squared weight"))
    assert figure.axes[0].get_ylabel() == "predicted loss (kl_probe), squared weight"
    assert len(figure.axes) == 2
    assert "nothing measured" in figure.get_suptitle()


def test_no_loss_at_all_stands_on_the_lower_edge_and_says_so(front, compose):
    axes = compose(replace(with_kl(front, 0.0), predicted=())).axes[0]
    assert set(axes.containers[0].lines[0].get_ydata()) == {axes.get_ylim()[0]}
    assert {"(no loss)", "W3 (no loss)"} <= {text.get_text() for text in axes.texts}


def test_policies_of_one_size_stand_side_by_side(front, compose):
    axes = compose(replace(with_bits(front, 32.0), predicted=())).axes[0]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert sorted(names) == sorted(point.label for point in front.measured)
    assert "32 bits per weight" in axes.get_xlabel()


def test_the_chosen_policy_is_described(front):
    assert chosen_in_words(front) == (
        "Chosen 4.5bpw: 4.50 bits per weight, file 439 KiB, KL 0.00674 ± 0.00067 nats")
    predicted = replace(front, measured=(), predicted=(
        replace(front.predicted[0], label="small", predicted_loss=0.5),), chosen="small")
    assert chosen_in_words(predicted).endswith("file 2 B, predicted loss 0.5 nats")
    assert chosen_in_words(replace(front, chosen="absent")) == ""
    assert chosen_in_words(replace(front, chosen=None)) == ""


def test_the_strip_has_a_cell_and_a_number_a_layer(front, compose):
    axes = compose(front).axes[1]
    cells, empty = axes.collections
    assert len(cells.get_paths()) == len(front.layers.names)
    assert len(empty.get_paths()) == 0
    assert [text.get_text() for text in axes.texts] == list("234567")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(front.layers.names)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["4.5bpw"]


def test_a_layer_left_alone_is_hatched_and_explained(front, compose):
    layers = LayerBits(names=("a", "b"), rows=(
        BitsRow(label="p", operand="weight", bits=(4, None)),
        BitsRow(label="p", operand="input", bits=(8, 8))))
    axes = compose(replace(front, layers=layers)).axes[1]
    assert axes.collections[1].get_hatch()
    assert labels_of(axes) == {"not quantized"}
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["p, weights", "p, inputs"]


def test_layer_names_never_overlap(front, compose):
    for columns in (14, 80, 400):
        figure = compose(replace(front, layers=strip(columns)))
        boxes = [tick.get_window_extent() for tick in figure.axes[1].get_xticklabels()]
        assert boxes
        assert all(one.x1 <= other.x0 + 1 for one, other in pairwise(boxes))


def test_many_layers_are_named_by_block_and_coloured_by_key(front, compose):
    axes = compose(replace(front, layers=strip(100))).axes[1]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names == [f"blocks.{i}" for i in range(25)]
    assert labels_of(axes) == {"4"}
    assert not axes.texts


def test_blocks_begin_where_the_first_number_changes():
    names = ["stem", "b.0.x.1", "b.0.y", "b.1.x", "head", "head"]
    assert block_starts(names) == [(0, "stem"), (1, "b.0"), (3, "b.1"), (4, "head")]


def test_shades_darken_with_the_bits():
    lightness = [sum(shade(bits)) for bits in (2, 3, 4, 5, 6, 8, 16)]
    assert lightness == sorted(lightness, reverse=True)
    assert len(set(lightness)) == len(lightness)


@pytest.mark.parametrize("name", ["empty", "one point", "one layer", "odd names", "no prediction"])
def test_hard_cases_are_drawn(front, compose, name):
    cases = {
        "empty": Front(model="m", estimator="e", space="s", unit="nats"),
        "one point": replace(front, predicted=front.predicted[:1], measured=front.measured[:1]),
        "one layer": replace(front, layers=strip(1)),
        "odd names": replace(front, model="$x_{" * 40, estimator="_e$", chosen="$\\frac{",
                             layers=strip(3, label="a$b$" * 20),
                             measured=tuple(replace(p, label="$\\frac{") for p in front.measured)),
        "no prediction": replace(front, predicted=(), measured=front.measured[-1:]),
    }
    figure = compose(cases[name])
    assert all(axes.get_window_extent().width > 300 for axes in figure.axes)


@pytest.mark.parametrize(("value", "text"), [
    (1.0, "1"), (0.05, "0.05"), (0.0002, "0.0002"), (20000.0, "20000"), (1e-5, "10⁻⁵"),
    (2e-5, "2·10⁻⁵"), (1e5, "10⁵"), (5e12, "5·10¹²"),
])
def test_ticks_are_plain_until_zeros_pile_up(value, text):
    assert decimal(value) == text


def test_long_names_lose_their_start():
    assert short("abcdef", 6) == "abcdef"
    assert short("abcdefg", 6) == "…cdefg"
