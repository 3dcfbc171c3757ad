"""A policy together with the scores it was made from, as far as the workspace holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.core.budget import Budget
from mpsearch.core.errors import MpsearchError
from mpsearch.core.types import Group, Policy, ScoreTable
from mpsearch.steps.devices import costing_again
from mpsearch.steps.limits import Row, rows
from mpsearch.steps.measure import Measured
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.tables import load_table, table_key
from mpsearch.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a policy was decided on: the losses, the costs, and the budgets (as *rows*).

    *chosen* has a scheme index for each group, None where the policy holds none of its menu.
    """

    measured: Measured
    losses: ScoreTable
    rows: tuple[Row, ...]
    chosen: tuple[int | None, ...]

    @classmethod
    def of(cls, policy: Policy, workspace: Workspace) -> Self | None:
        """What *workspace* knows about *policy*; None where it lacks the scores."""
        made_from = policy.provenance
        key = str(made_from.get("study", ""))
        record = workspace.load("studies", key, StudyRecord)
        losses = _losses(policy, key, workspace)
        if record is None or losses is None:
            return None
        measured = Measured(key=key, record=record, costing=costing_again(
            workspace, key, record, made_from.get("device")))
        return cls(measured=measured, losses=losses, rows=_rows(policy, measured), chosen=tuple(
            _chosen(policy, record, group) for group in record.space.groups))

    @property
    def problem(self) -> Problem:
        """The allocation problem that the policy answers."""
        return Problem.from_tables(self.losses, [row.table for row in self.rows],
                                   [row.limit for row in self.rows])

    @property
    def choice(self) -> tuple[int, ...] | None:
        """The policy as a choice; None where it is not one of the space."""
        whole = tuple(k for k in self.chosen if k is not None)
        return whole if len(whole) == len(self.chosen) else None


def _losses(policy: Policy, study: str, workspace: Workspace) -> ScoreTable | None:
    name = policy.provenance.get("estimator", {}).get("name", "")
    if not plugins.known("estimator", plugins.base_name(name)):
        return None
    key = table_key(study, name, plugins.make("estimator", name))
    return load_table(workspace, key)


def _rows(policy: Policy, measured: Measured) -> tuple[Row, ...]:
    """The policy's budgets; none where its provenance was changed to what is no budget."""
    try:
        return tuple(rows([Budget.parse(str(text)) for text in policy.provenance["budgets"]],
                          measured))
    except (MpsearchError, KeyError, TypeError):
        return ()


def _chosen(policy: Policy, record: StudyRecord, group: Group) -> int | None:
    members = record.space.members(group)
    fits = (all(policy.layers.get(m.name) == scheme.for_kind(m.kind) for m in members)
            for scheme in group.schemes)
    return next((k for k, same in enumerate(fits) if same), None)
