"""Why each layer got its bits: its share of the loss, and what the next bits would buy."""

from __future__ import annotations

from collections.abc import Iterator

from mpsearch import plugins
from mpsearch.core.types import Group, Policy, Scheme, ScoreTable
from mpsearch.report.table import LayerRow
from mpsearch.steps.measure import table_key
from mpsearch.steps.record import StudyRecord
from mpsearch.workspace import Workspace

_BITS_PER_KIB = 8192


def explain(policy: Policy, workspace: Workspace) -> tuple[list[LayerRow], str]:
    """One row a layer of *policy*, and the unit of the loss.

    The scores are those the policy was made from; where *workspace* does not hold them the rows
    say only what each layer got, and the unit is empty.
    """
    made_from = policy.provenance
    record = workspace.load("studies", str(made_from.get("study", "")), StudyRecord)
    losses = _losses(policy, workspace)
    if record is None or losses is None:
        return [LayerRow(name=name, kind=None, weights=0, scheme=scheme)
                for name, scheme in policy.layers.items()], ""
    sizes = plugins.load("cost", "size")(record.space)
    total = policy.totals.predicted_loss
    facts = {}
    for number, group in enumerate(record.space.groups):
        chosen = _chosen(policy, record, group)
        if chosen is not None:
            facts[group.layers[0]] = _facts(group, chosen, losses.values[number],
                                            sizes.values[number], total)
    rows = []
    for layer in record.space.layers:
        share, gain, following = facts.get(layer.name, (None, None, None))
        rows.append(LayerRow(
            name=layer.name, kind=layer.kind, weights=layer.weights,
            scheme=policy.layers.get(layer.name, Scheme()), share=share, gain_per_kib=gain,
            next_scheme=following.for_kind(layer.kind) if following else None))
    return rows, losses.unit


def _losses(policy: Policy, workspace: Workspace) -> ScoreTable | None:
    name = policy.provenance.get("estimator", {}).get("name", "")
    if plugins.base_name(name) not in plugins.names("estimator"):
        return None
    key = table_key(str(policy.provenance.get("study")), name, plugins.make("estimator", name))
    return workspace.load("tables", key, ScoreTable)


def _chosen(policy: Policy, record: StudyRecord, group: Group) -> int | None:
    members = record.space.members(group)
    fits = (all(policy.layers.get(m.name) == scheme.for_kind(m.kind) for m in members)
            for scheme in group.schemes)
    return next((k for k, same in enumerate(fits) if same), None)


def _facts(group: Group, chosen: int, losses: tuple[float, ...], sizes: tuple[float, ...],
           total: float) -> tuple[float | None, float | None, Scheme | None]:
    share = losses[chosen] / total if total > 0 else None
    best = max(_steps(chosen, losses, sizes), default=None)
    if best is None:
        return share, None, None
    return share, best[0], group.schemes[-best[1]]


def _steps(chosen: int, losses: tuple[float, ...],
           sizes: tuple[float, ...]) -> Iterator[tuple[float, int]]:
    """Loss saved per KiB on the way to each larger and better candidate, and its index negated."""
    for k, (loss, size) in enumerate(zip(losses, sizes, strict=True)):
        if size > sizes[chosen] and loss < losses[chosen]:
            yield (losses[chosen] - loss) / (size - sizes[chosen]) * _BITS_PER_KIB, -k
