"""One look for every picture, and the same bytes for the same numbers."""

from __future__ import annotations

import hashlib
import io as streams
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mpsearch.core import io
from mpsearch.core.version import version_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

# Okabe & Ito, "Color Universal Design" (2008): told apart under every colour blindness
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"

LOOK: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9.0, "text.color": INK,
    "text.parse_math": False,  # names of layers and models are not formulas
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#E6E6E6", "grid.linewidth": 0.7,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "legend.frameon": False, "figure.facecolor": "white", "savefig.facecolor": "white",
    "svg.hashsalt": "mpsearch", "svg.fonttype": "path", "path.simplify": False,
}
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
_ENDS = {"png": b"IEND\xaeB`\x82", "svg": b"</svg>"}
"""What a whole file ends with: the last chunk with its checksum, the closing tag."""
_PLAIN = (1e-4, 1e5)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def mark_of(numbers: Any) -> str:
    """What tells a picture of these *numbers* from any other, made by these versions."""
    versions = " ".join(f"{name} {version_of(name)}" for name in ("mpsearch", "matplotlib"))
    return f"{versions} {hashlib.sha256(io.dumps(numbers, compact=True)).hexdigest()}"


def drawn(numbers: Any, stem: Path) -> list[Path] | None:
    """The files of a picture that stands there already and shows *numbers*; None if none does.

    A file that was cut short is no picture.
    """
    paths, mark = paths_of(stem), mark_of(numbers).encode()
    try:
        return paths if all(_shows(path, mark) for path in paths) else None
    except OSError:
        return None


def _shows(path: Path, mark: bytes) -> bool:
    content = path.read_bytes()
    return mark in content and content.rstrip().endswith(_ENDS[path.suffix.removeprefix(".")])


def paths_of(stem: Path) -> list[Path]:
    """The files of the picture called *stem*."""
    return [stem.with_name(f"{stem.name}.{kind}") for kind in _METADATA]


def draw_figure(compose: Callable[[T], Figure], numbers: T, stem: str | os.PathLike[str]
                ) -> list[Path]:
    """Write what *compose* makes of *numbers* in the one look; see `save_figure`.

    Nothing is shown on a screen and no global state of matplotlib changes.

    Raises:
        BadInput: the place cannot be written.
    """
    import matplotlib as mpl
    from matplotlib import style

    with mpl.rc_context(), style.context(["default", LOOK]):
        return save_figure(compose(numbers), Path(stem), numbers)


def save_figure(figure: Figure, stem: Path, numbers: Any) -> list[Path]:
    """Write *figure* as ``stem.png`` (150 dpi) and ``stem.svg``, each whole or not at all.

    What tells which *numbers* it shows goes into the files, for `drawn` to find.

    Raises:
        BadInput: the place cannot be written.
    """
    paths, mark = paths_of(stem), mark_of(numbers)
    for path, (kind, metadata) in zip(paths, _METADATA.items(), strict=True):
        buffer = streams.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata={**metadata, "Source": mark})
        io.write(path, buffer.getvalue())
    return paths


def decimal(value: float) -> str:
    """A tick of a logarithmic axis: ``0.05``, or ``2·10⁻⁵`` where zeros would pile up."""
    if not _PLAIN[0] < value < _PLAIN[1]:
        exponent = math.floor(math.log10(value) + 1e-9)
        mantissa = f"{value / 10**exponent:.3g}"
        power = "10" + str(exponent).translate(_SUPERSCRIPTS)
        return power if mantissa == "1" else f"{mantissa}·{power}"
    return f"{value:.6g}"


def short(text: str, length: int) -> str:
    """*text* cut at its start, where paths and layer names say least."""
    return text if len(text) <= length else "…" + text[len(text) - length + 1:]
