"""The plain data that passes between rooms: layers, schemes, spaces, tables and policies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, Self

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format, Operand
from mpsearch.core.keep import Keep

Kind = Literal["linear", "conv", "embedding", "matmul"]
Narrows = Literal["", "rows", "columns", "heads"]
POLICY_VERSION = 1
OPERANDS: dict[str, tuple[Operand, ...]] = {
    "linear": ("weight", "input"),
    "conv": ("weight", "input"),
    "embedding": ("weight",),
    "matmul": ("input", "other"),
}
"""The operands of each kind of layer that can carry a format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What is done to one layer. None leaves that operand in floating point.

    *weight* is the stored parameter, *input* the activation that enters, *other* the second
    operand of a matmul (attention's keys or values). *keep* says which units of the layer's
    residual branch stay; None keeps them all.
    """

    weight: Format | None = None
    input: Format | None = None
    other: Format | None = None
    keep: Keep | None = None

    def for_kind(self, kind: Kind) -> Scheme:
        """This scheme with only the operands that a layer of *kind* has."""
        return Scheme(keep=self.keep, **{name: getattr(self, name) for name in OPERANDS[kind]})

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized, and nothing taken out."""
        return all(each is None for each in (self.weight, self.input, self.other, self.keep))

    @property
    def skips(self) -> bool:
        """Whether the layer's residual branch is left out."""
        return self.keep is not None and self.keep.skips

    @property
    def widths(self) -> str:
        """The widths alone, as the field writes them: ``W4A8``."""
        return self._written(lambda fmt: f"{fmt.bits:g}", "")

    def __str__(self) -> str:
        return self._written(str, " ")

    def _written(self, write: Callable[[Format], str], between: str) -> str:
        parts = (("W", self.weight), ("A", self.input), ("B", self.other))
        text = between.join(f"{letter}{write(fmt)}" for letter, fmt in parts if fmt is not None)
        if self.skips:
            return str(self.keep)
        return (text or "float") + (f" {self.keep}" if self.keep else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One quantisable layer: exact torch name, kind, shapes (batch of one sample) and MACs.

    *weight* is the name of the parameter, None for a matmul; its *weight_shape* has the output
    channels first. *macs* counts multiply-accumulates for one sample over all calls. Layers with
    the same *parameter_group* share storage; layers with the same *activation_group* read
    activations that are stored as one, and must agree wherever activations are quantized.

    *branch* is the residual branch that the layer is in, if it can be left out. *units* is how
    many attention heads or hidden units that branch has, where it can do with fewer; *narrows*
    what then shrinks here: the ``rows`` of the weight (outputs), its ``columns`` (inputs), or, in
    a matmul, its ``heads``.
    """

    name: str
    kind: Kind
    weight: str | None = None
    weight_shape: tuple[int, ...] | None = None
    input_shape: tuple[int, ...] = ()
    other_shape: tuple[int, ...] | None = None
    output_shape: tuple[int, ...] = ()
    macs: int = 0
    parameter_group: str = ""
    activation_group: str = ""
    float_bits: int = 32
    branch: str = ""
    units: int = 0
    narrows: Narrows = ""

    @property
    def weights(self) -> int:
        """Elements of the weight, 0 where there is none."""
        return math.prod(self.weight_shape) if self.weight_shape is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers that must share a scheme, and the schemes they may choose from, in fixed order."""

    name: str
    layers: tuple[str, ...]
    schemes: tuple[Scheme, ...]

    def __post_init__(self) -> None:
        if not self.layers or not self.schemes:
            raise BadInput(f"group '{self.name}' needs at least one layer and one scheme")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The layers of a model and, for each group of them, its candidate schemes."""

    name: str
    layers: tuple[LayerSpec, ...]
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        grouped = [name for group in self.groups for name in group.layers]
        if sorted(grouped) != sorted(layer.name for layer in self.layers):
            raise BadInput(f"space '{self.name}': every layer must be in exactly one group")

    def layer(self, name: str) -> LayerSpec:
        """The layer called *name*."""
        return next(layer for layer in self.layers if layer.name == name)

    def members(self, group: Group) -> tuple[LayerSpec, ...]:
        """The layers of *group*, in the order of execution."""
        names = set(group.layers)
        return tuple(layer for layer in self.layers if layer.name in names)

    @property
    def weights(self) -> int:
        """Elements of all quantisable weights, shared ones counted once."""
        return sum(layer.weights for layer in unique_weights(self.layers))


def unique_weights(layers: Iterable[LayerSpec]) -> list[LayerSpec]:
    """The layers that own a weight, one for each stored parameter."""
    first: dict[str, LayerSpec] = {}
    for layer in layers:
        if layer.weight is not None:
            first.setdefault(layer.parameter_group or layer.weight, layer)
    return list(first.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Scores over some of the samples only, a range of denoising timesteps, say."""

    name: str
    samples: int
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """One number for each group and scheme: a sensitivity or a cost.

    *values* has a row for each group, in *groups* order, and a column for each of its schemes.
    *stderr*, where known, is the standard error of each value. *segments* has the same values
    over parts of the samples. *families* says, where groups are scored by different metrics, by
    which family of them each group is. *factor* gives interactions: each of its rows has a number
    for every scheme of every group, in order, and two groups add twice the product of their rows'
    columns to what a choice loses. *samples*, where known, has a row for every sample with its
    own number for every scheme of every group, in order; *values* are their means. *sampled* says
    that there are such rows, though they are kept elsewhere.
    """

    metric: str
    unit: str
    groups: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    stderr: tuple[tuple[float, ...], ...] | None = None
    segments: tuple[Segment, ...] = ()
    families: tuple[str, ...] = ()
    factor: tuple[tuple[float, ...], ...] = ()
    samples: tuple[tuple[float, ...], ...] = ()
    sampled: bool = False

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.values):
            raise BadInput(f"table '{self.metric}' has {len(self.values)} rows for "
                           f"{len(self.groups)} groups")
        for group, row in zip(self.groups, self.values, strict=True):
            if not all(math.isfinite(value) for value in row):
                raise BadInput(f"table '{self.metric}' has a value that is not finite in '{group}'")

    def total(self, choice: Iterable[int]) -> float:
        """Sum over groups of the values that *choice* (a scheme index a group) picks."""
        return math.fsum(row[k] for row, k in zip(self.values, choice, strict=True))

    def predict(self, choice: Sequence[int]) -> float:
        """The total of *choice* with what its groups do to each other, where that is known."""
        starts = [0, *accumulate(map(len, self.values))]
        picked = [start + k for start, k in zip(starts, choice, strict=False)]
        crossed = math.fsum(math.fsum(row[i] for i in picked) ** 2
                            - math.fsum(row[i] ** 2 for i in picked) for row in self.factor)
        return self.total(choice) + crossed


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Which model a policy is for: where it came from, and a digest of its weights."""

    source: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRange:
    """Calibrated scale and zero point of a statically quantized activation.

    *more* is what its format needs beside them, by name: the base of a logarithm, say.

    Raises:
        BadInput: a scale that is not a finite number above 0, or other numbers that are not finite.
    """

    scale: float
    zero_point: int
    more: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise BadInput(f"a calibrated scale is a finite number above 0, not {self.scale}")
        for name, table in self.more.items():
            if not all(map(math.isfinite, table)):
                raise BadInput(f"a calibrated range has a number in '{name}' that is not finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A policy measured against the float model: means over samples, with standard errors.

    *kl* is KL(float || quantized) of the outputs in nats, *agreement* the share of equal top-1
    predictions, *top1* the share of correct ones (None without labels), *float_top1* the float
    model's own.
    """

    samples: int
    kl: float
    kl_stderr: float
    agreement: float
    agreement_stderr: float
    top1: float | None = None
    top1_stderr: float | None = None
    float_top1: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a policy was expected to lose before it was run, with 95 % prediction intervals.

    Fitted on so many measured *policies* of so many *samples* each. *accuracy_loss* is the fall of
    the share of correct predictions, None without labels.
    """

    kl: float
    kl_low: float
    kl_high: float
    policies: int
    samples: int
    accuracy_loss: float | None = None
    accuracy_loss_low: float | None = None
    accuracy_loss_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a policy weighs and costs.

    *size_bits* counts the quantisable weights with scales, zero points and padding;
    *bits_per_weight* is that over their number; *file_bytes* adds everything else the model
    stores. *predicted_loss* is the estimator's total, *measured_loss* the mean KL on held-out
    data. Where they are known: *latency_ms* of one batch on the device that the provenance names,
    *peak_activation_bytes* at the fullest moment of a run on one sample, and *energy_mj* of one
    sample.
    """

    weights: int
    size_bits: int
    bits_per_weight: float
    file_bytes: int
    bops: float
    predicted_loss: float
    measured_loss: float | None = None
    latency_ms: float | None = None
    peak_activation_bytes: int | None = None
    energy_mj: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One decision for every quantisable layer, by exact name, and where it came from."""

    version: int = POLICY_VERSION
    model: ModelRef
    layers: dict[str, Scheme]
    totals: Totals
    activations: dict[str, dict[str, StaticRange]] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    prediction: Prediction | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a policy file.

        Raises:
            BadInput: the file is missing, truncated, not a policy, or of a later version.
        """
        from mpsearch.core import io

        return io.load(path, cls)

    def save(self, path: str) -> None:
        """Write the policy as JSON, atomically.

        Raises:
            BadInput: the place cannot be written.
        """
        from mpsearch.core import io

        io.save(path, self)

    def diff(self, other: Policy) -> dict[str, tuple[Scheme | None, Scheme | None]]:
        """Layers whose scheme differs, as (here, there); None where one side lacks the layer."""
        names = [*self.layers, *(name for name in other.layers if name not in self.layers)]
        pairs = {name: (self.layers.get(name), other.layers.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
