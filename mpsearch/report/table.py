"""The tables a person reads: what was allocated, how it compares, and layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpsearch.core.budget import Budget
from mpsearch.core.types import Kind, Policy, Prediction, Scheme, Totals
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import (
    NOTHING,
    human_bops,
    human_bytes,
    human_metric,
    number,
    percent,
    with_error,
)

if TYPE_CHECKING:
    from mpsearch.report.front import MeasuredPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """One budget: what was reached, and the least and most the search space could reach."""

    budget: Budget
    achieved: float
    floor: float
    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an allocation came to: *bound* is the proven lower bound of the predicted loss."""

    totals: Totals
    bound: float
    status: str
    prediction: Prediction | None = None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One layer of a policy; *kind* is None where nothing but the policy is known.

    *share* is its part of the predicted loss. *gain_per_kib* is the loss that a KiB more would
    save on the way to *next_scheme*; both are None where there is nothing better. *other_scheme*
    came next when the layer's was chosen, and would cost about *other_cost* once the other layers
    had made up for its size: at the prices of the budgets.
    """

    name: str
    kind: Kind | None
    weights: int
    scheme: Scheme
    share: float | None = None
    gain_per_kib: float | None = None
    next_scheme: Scheme | None = None
    other_scheme: Scheme | None = None
    other_cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Measured policies side by side: *chosen* is a label, *verdicts* one line a label."""

    points: tuple[MeasuredPoint, ...]
    chosen: str | None = None
    verdicts: Mapping[str, str] = field(default_factory=dict)


def budgets(rows: Sequence[BudgetRow]) -> Grid:
    """Requested, achieved and reachable, one row a budget."""
    return Grid(title="Budgets", columns=words("budget") + numbers(
        "requested", "achieved", "least possible", "most possible"), rows=tuple(
            (row.budget.text, *(human_metric(row.budget.metric, value) for value in (
                row.budget.limit, row.achieved, row.floor, row.ceiling))) for row in rows))


def outcome(result: Outcome) -> Grid:
    """Loss, bound and status, and what the policy weighs, one fact a row."""
    totals = result.totals
    facts = (
        ("predicted loss", f"{number(totals.predicted_loss)} {result.unit}"),
        ("proven lower bound", f"{number(result.bound)} {result.unit}"),
        ("status", result.status),
        *predicted(result.prediction),
        ("bits per weight", f"{totals.bits_per_weight:.3f}"),
        ("quantized weights", human_bytes(totals.size_bits / 8)),
        ("whole file", human_bytes(totals.file_bytes)),
        ("bit operations per sample", human_bops(totals.bops)),
        *_of_a_run(totals),
    )
    return Grid(title="Allocation", columns=words("") + numbers("value"), rows=facts)


def _of_a_run(totals: Totals) -> tuple[tuple[str, str], ...]:
    """What a run takes, as far as it is known."""
    rows: list[tuple[str, str]] = []
    if totals.latency_ms is not None:
        rows.append(("predicted latency", human_metric("latency_ms", totals.latency_ms)))
    if totals.peak_activation_bytes is not None:
        rows.append(("peak of activations", human_bytes(totals.peak_activation_bytes)))
    if totals.energy_mj is not None:
        rows.append(("energy per sample", human_metric("energy_mj", totals.energy_mj)))
    return tuple(rows)


def predicted(prediction: Prediction | None) -> tuple[tuple[str, str], ...]:
    """What was expected before the policy was run, with 95 % intervals."""
    if prediction is None:
        return ()
    interval = f"{number(prediction.kl_low)} to {number(prediction.kl_high)}"
    rows = [("predicted KL (95 %)", f"{number(prediction.kl)} ({interval}) nats")]
    if prediction.accuracy_loss is not None:
        loss, low, high = (100 * (each or 0.0) for each in (
            prediction.accuracy_loss, prediction.accuracy_loss_low, prediction.accuracy_loss_high))
        rows.append(("predicted fall of top-1 (95 %)", f"{loss:.1f} ({low:.1f} to {high:.1f}) %"))
    return tuple(rows)


def comparison(compared: Comparison) -> Grid:
    """The measured policies, smallest first, the chosen one stressed."""
    points = sorted(compared.points, key=lambda point: (point.bits_per_weight, point.label))
    rows = tuple(_comparison_row(point, compared.verdicts.get(point.label, ""))
                 for point in points)
    strong = frozenset(i for i, p in enumerate(points) if p.label == compared.chosen)
    columns = words("policy") + numbers("bpw", "file", "KL (nats)", "agree %", "top-1 %")
    if compared.verdicts:
        columns += words("result")
    return Grid(title=_comparison_title(points), columns=columns, strong=strong,
                rows=tuple(row[:len(columns)] for row in rows))


def layers(rows: Sequence[LayerRow], *, unit: str) -> Grid:
    """One row a layer in the given order; *unit* is that of the predicted loss.

    Schemes are written by their widths alone where that tells them apart.
    """
    schemes = {scheme for row in rows
               for scheme in (row.scheme, row.next_scheme, row.other_scheme) if scheme}
    short = len({scheme.widths for scheme in schemes}) == len(set(map(str, schemes)))
    return Grid(title=f"Layers (share of the loss; gain in {unit} a KiB; cost of the second best "
                f"in {unit})",
                columns=words("layer", "kind") + numbers("weights") + words("scheme") + numbers(
                    "share", "gain") + words("next", "second best") + numbers("cost"),
                rows=tuple(_layer_row(row, short=short) for row in rows))


def difference(here: Policy, there: Policy, *, labels: tuple[str, str] = ("here", "there")) -> Grid:
    """The layers on which two policies differ, and their totals at the end."""
    changed = here.diff(there)
    rows = [(name, _scheme(one), _scheme(other)) for name, (one, other) in changed.items()]
    sizes = [f"{p.totals.bits_per_weight:.3f}" for p in (here, there)]
    files = [human_bytes(policy.totals.file_bytes) for policy in (here, there)]
    facts = (("bits per weight", *sizes), ("whole file", *files))
    count = len(here.layers.keys() | there.layers.keys())
    return Grid(title=f"{len(changed)} of {count} layers differ", columns=words("layer", *labels),
                rows=(*rows, *facts), strong=frozenset({len(rows), len(rows) + 1}))


def _comparison_title(points: Sequence[MeasuredPoint]) -> str:
    samples = max((point.evaluation.samples for point in points), default=0)
    top1 = next((point.evaluation.float_top1 for point in points), None)
    float_model = "" if top1 is None else f", float model {percent(top1)} correct"
    return f"Measured on {samples} held-out samples{float_model}"


def _comparison_row(point: MeasuredPoint, verdict: str) -> tuple[str, ...]:
    measured = point.evaluation
    return (point.label, f"{point.bits_per_weight:.3f}", human_bytes(point.file_bytes),
            with_error(measured.kl, measured.kl_stderr),
            percent(measured.agreement, measured.agreement_stderr).removesuffix(" %"),
            percent(measured.top1, measured.top1_stderr).removesuffix(" %"), verdict)


def _layer_row(row: LayerRow, *, short: bool) -> tuple[str, ...]:
    return (row.name, row.kind or NOTHING, f"{row.weights:,}" if row.weights else NOTHING,
            _scheme(row.scheme, short=short), percent(row.share), number(row.gain_per_kib),
            _scheme(row.next_scheme, short=short), _scheme(row.other_scheme, short=short),
            number(row.other_cost))


def _scheme(scheme: Scheme | None, *, short: bool = False) -> str:
    if scheme is None:
        return NOTHING
    return scheme.widths if short else str(scheme)
