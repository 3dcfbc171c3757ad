"""What the command line prints and writes: results as one JSON object or as tables."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mpsearch.core import io
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation, Policy
from mpsearch.report import prices, table
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import number, percent, with_error

if TYPE_CHECKING:
    from mpsearch.api import Result
    from mpsearch.core.machine import MachineTable
    from mpsearch.report.front import Front
    from mpsearch.report.surface import Surface
    from mpsearch.steps.measure import Measured
    from mpsearch.steps.profile import Profile
    from mpsearch.workspace import Workspace

Tables = Sequence[Grid | str]
T = TypeVar("T")


def answer(data: Mapping[str, Any], as_json: bool, tables: Tables) -> None:
    """Print *data* as one JSON object, or *tables* for a person, on standard output.

    All of it is handed over on return: whoever cannot take it raises here, not at exit.
    """
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    if as_json:
        text = json.dumps(data, ensure_ascii=not unicode, allow_nan=False)
    else:
        styled = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        text = "\n".join(_lines(tables, styled, "─" if unicode else "-"))
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _lines(tables: Tables, styled: bool, rule: str) -> Iterator[str]:
    """Nothing is ever cut: a table wider than the terminal wraps there."""
    for part in tables:
        yield from [part] if isinstance(part, str) else part.lines(styled=styled, rule=rule)


def notes(lines: Sequence[str]) -> None:
    """What the user should know, on standard error."""
    for line in lines:
        sys.stderr.write(f"note: {line}\n")


def fail(message: str) -> NoReturn:
    """One line on standard error, exit code 2."""
    sys.stderr.write(f"mpsearch: error: {' '.join(message.split())}\n")
    sys.exit(2)


@contextmanager
def workers(jobs: int) -> Iterator[None]:
    """Score layers in so many processes; with one, as joblib is configured already.

    Raises:
        BadInput: not a positive number.
    """
    if jobs < 1:
        raise BadInput(f"the number of jobs must be at least 1, not {jobs}")
    if jobs == 1:
        yield
        return
    from joblib import parallel_config

    with parallel_config(backend="loky", n_jobs=jobs):
        yield


def parse_bytes(text: str) -> int:
    """A number of bytes, as in 2GiB.

    Raises:
        BadInput: not a positive number with a unit of bytes.
    """
    try:
        amount = Budget.parse(text)
    except BadInput as error:
        raise BadInput(f"cannot read the memory '{text}': write it as 512MiB or 2GiB") from error
    if amount.metric != "file_bytes":
        raise BadInput(f"the memory '{text}' is no number of bytes: write it as 512MiB or 2GiB")
    return int(amount.limit)


def measured_data(measured: Measured) -> dict[str, Any]:
    """What `measure` prints with ``--json``."""
    space = measured.record.space
    return {"study": measured.key, "model": io.to_data(measured.record.model),
            "layers": len(space.layers), "groups": len(space.groups),
            "weights": space.weights, "measured_units": measured.new_units,
            "resumed_units": measured.resumed_units,
            "tables": {name: io.to_data(scores) for name, scores in measured.tables.items()},
            "notes": list(measured.record.notes)}


def measured_tables(measured: Measured) -> Tables:
    """A row a group: its layers, and its scores from the cheapest scheme to the dearest."""
    space = measured.record.space
    grids: list[Grid | str] = []
    for name, scores in measured.tables.items():
        rows = tuple(
            (group.name, str(len(group.layers)), str(len(group.schemes)), number(row[0]),
             number(row[-1])) for group, row in zip(space.groups, scores.values, strict=True))
        grids.append(Grid(title=f"{name} ({scores.unit})", columns=words("group") + numbers(
            "layers", "schemes", "score of the first", "score of the last"), rows=rows))
    done = (f"{measured.new_units} units measured, {measured.resumed_units} taken from an "
            "interrupted run" if measured.new_units or measured.resumed_units else
            "everything was measured before: nothing was measured anew")
    return [*grids, done]


def profiled(found: Profile, export: Path | None, *,
             as_json: bool) -> tuple[dict[str, Any], bool, Tables]:
    """What `profile` prints: each layer's times, and what bounds it."""
    from mpsearch.report import times
    from mpsearch.steps.timeline import timelines

    lines, files = timelines(found), _exported(found.table, export)
    data = {**times.about(found.table), "new": found.new, "refused": list(found.refused),
            "profiles": [times.data(line, packed=found.table.packed) for line in lines],
            "files": files}
    said = [*(f"{found.table.provider} does not offer it: {why}" for why in found.refused),
            *(f"wrote {name}" for name in files),
            f"{found.new} times measured anew; {times.summary(found.table)}"]
    return data, as_json, [*times.told(lines, packed=found.table.packed), *said]


def imported(read: MachineTable, export: Path | None, *,
             as_json: bool) -> tuple[dict[str, Any], bool, Tables]:
    """What `profile --import` prints."""
    from mpsearch.report import times

    files = _exported(read, export)
    return {**times.about(read), "files": files}, as_json, [
        f"imported: {times.summary(read)}", *(f"wrote {name}" for name in files)]


def _exported(read: MachineTable, export: Path | None) -> list[str]:
    if export is None:
        return []
    from mpsearch.core.machine_csv import export_table

    export_table(read, export)
    return [str(export)]


def write_result(result: Result, output: Path) -> list[Path]:
    """Write the policy, and beside it the fronts and their pictures where there are any."""
    result.policy.save(str(output))
    files = [output]
    if result.front is not None:
        stem = output.with_name(f"{output.stem}.front")
        files += _front_files(result.front, Path(f"{stem}.json"), stem)
    if result.surface is not None:
        files += _surface_files(result.surface, output.with_name(f"{output.stem}.costs"))
    return files


def write_front(front: Front, output: Path, *, picture: bool = True) -> list[Path]:
    """Write a front's numbers and, unless there is to be no *picture*, its pictures."""
    known = output.suffix in (".json", ".png", ".svg")
    stem = output.with_suffix("") if known else output
    return _front_files(front, stem.with_name(f"{stem.name}.json"), stem, picture=picture)


def _front_files(front: Front, path: Path, stem: Path, *, picture: bool = True) -> list[Path]:
    from mpsearch.report.front import save_front

    save_front(front, path)
    return [path, *(_pictures(front, stem, _draw_front) if picture else [])]


def _draw_front(front: Front, stem: Path) -> list[Path]:
    from mpsearch.report.picture import draw

    return draw(front, stem)


def _surface_files(surface: Surface, stem: Path) -> list[Path]:
    from mpsearch.report.surface import draw_surface, save_surface

    path = Path(f"{stem}.json")
    save_surface(surface, path)
    return [path, *_pictures(surface, stem, draw_surface)]


def _pictures(shown: T, stem: Path, draw: Callable[[T, Path], list[Path]]) -> list[Path]:
    """The pictures at *stem*, drawn where they are not there already."""
    from mpsearch.report.style import drawn

    known = drawn(shown, stem)
    return draw(shown, stem) if known is None else known


def result_data(result: Result, files: Sequence[Path]) -> dict[str, Any]:
    """What `allocate` prints with ``--json``."""
    from mpsearch.steps.timeline import truths

    policy, selection = result.policy, result.allocation.selection
    budgets = [{"budget": str(row.budget), "metric": row.budget.metric,
                "requested": row.budget.limit, "achieved": row.achieved,
                "floor": row.floor, "ceiling": row.ceiling} for row in _achieved(result)]
    measured = result.allocation.measured
    return {"totals": io.to_data(policy.totals), "budgets": budgets, "status": selection.status,
            "bound": selection.bound, "objective": selection.objective, "note": selection.note,
            "prices": policy.provenance["allocator"]["prices"],
            "tolerance": policy.provenance["tolerance"],
            "evaluation": io.to_data(policy.evaluation) if policy.evaluation else None,
            "prediction": io.to_data(policy.prediction) if policy.prediction else None,
            "verification": policy.provenance["verification"],
            "layers": {name: str(scheme) for name, scheme in policy.layers.items()},
            "device": policy.provenance["device"], "truths": truths(result.allocation),
            "measured_units": measured.new_units, "files": [str(path) for path in files],
            "notes": list(measured.record.notes)}


def result_tables(result: Result, files: Sequence[Path]) -> Tables:
    """Budgets, outcome, comparison with uniform, and the files that were written."""
    from mpsearch.steps.timeline import truths

    allocation = result.allocation
    outcome = table.Outcome(totals=result.policy.totals, bound=allocation.selection.bound,
                            status=allocation.selection.status, unit=allocation.losses.unit,
                            prediction=result.policy.prediction)
    parts: list[Grid | str] = [table.budgets(_achieved(result)), prices.prices(allocation.prices()),
                               table.outcome(outcome),
                               *prices.caveats(result.policy.provenance["allocator"]),
                               *truths(result.allocation)]
    if result.verification is not None and result.front is not None:
        verdicts = {c.label: f"{c.against.verdict}" for c in result.verification.uniform
                    if c.against}
        parts += [table.comparison(table.Comparison(
            points=result.front.measured, chosen=result.verification.winner.label,
            verdicts=verdicts)), _verdict(result)]
    if allocation.tolerated is not None:
        parts.append(prices.tolerated(allocation.tolerated, result.policy.evaluation))
    return [*parts, f"wrote {', '.join(map(str, files))}"]


def _achieved(result: Result) -> list[table.BudgetRow]:
    """Each budget with what the returned policy came to: the greatest of its rows for a maximum."""
    allocation, winner = result.allocation, result.verification and result.verification.winner
    choice = winner.choice if winner else allocation.selection.choice
    found: dict[str, list[Any]] = {}
    for place, row in enumerate(allocation.budgets):  # a budget given twice stays two
        found.setdefault(str(row.budget) if row.place else str(place), []).append(row)
    return [table.BudgetRow(
        budget=rows[0].budget, achieved=max(row.shown(row.table.total(choice)) for row in rows),
        floor=max(row.floor for row in rows), ceiling=max(row.ceiling for row in rows))
        for rows in found.values()]


def _verdict(result: Result) -> str:
    verification = result.verification
    assert verification is not None  # noqa: S101 - the caller checked
    better = [candidate.label for candidate in verification.better]
    if not verification.uniform:
        return "no uniform policy of this space meets the budget"
    if not better:
        return "no uniform policy of the same budget is better beyond noise"
    if verification.winner is verification.allocated:
        return f"{', '.join(better)} measured better; the allocated policy is kept as asked"
    return (f"{verification.winner.label} measured better than the allocated policy beyond noise "
            "and is returned instead (--keep returns the allocated one)")


def front_data(front: Front, files: Sequence[Path]) -> dict[str, Any]:
    """What `pareto` prints with ``--json``."""
    return {**io.to_data(front), "files": [str(path) for path in files]}


def front_tables(front: Front, files: Sequence[Path]) -> Tables:
    """The measured points, and the files that were written."""
    parts: list[Grid | str] = []
    if front.measured:
        parts.append(table.comparison(table.Comparison(points=front.measured)))
    found = f"{len(front.predicted)} policies on the predicted front of {front.estimator}"
    return [*parts, found, f"wrote {', '.join(map(str, files))}"]


def evaluation_data(policy: Policy, evaluation: Evaluation, backend: str) -> dict[str, Any]:
    """What `run` prints with ``--json``."""
    return {**io.to_data(evaluation), "backend": backend, "totals": io.to_data(policy.totals)}


def evaluation_tables(policy: Policy, evaluation: Evaluation) -> Tables:
    """The policy's measures in words."""
    from mpsearch.report.front import MeasuredPoint

    point = MeasuredPoint(
        label=policy.model.source, bits_per_weight=policy.totals.bits_per_weight,
        file_bytes=policy.totals.file_bytes, evaluation=evaluation, kind="allocated")
    summary = (f"KL to the float model {with_error(evaluation.kl, evaluation.kl_stderr)} nats, "
               f"agreement {percent(evaluation.agreement, evaluation.agreement_stderr)}")
    return [table.comparison(table.Comparison(points=(point,))), summary]


def explained(policy: Policy, workspace: Workspace) -> tuple[dict[str, Any], Tables]:
    """What `show` prints: a row a layer, and what the budgets are worth."""
    from mpsearch.steps.explain import explain

    found = explain(policy, workspace)
    caveats = prices.caveats(_allocator(policy))
    data = {"model": io.to_data(policy.model), "totals": io.to_data(policy.totals),
            "caveats": caveats,
            "unit": found.unit, "prices": [_price(row) for row in found.prices],
            "layers": [io.to_data(row) for row in found.layers]}
    parts: list[Grid | str] = [table.layers(found.layers, unit=found.unit or "loss")]
    if found.prices:
        parts.append(prices.prices(found.prices))
    parts += caveats
    if not found.unit:
        parts.append(f"{workspace.root} does not hold the scores this policy was made from: give "
                     "--workspace to see shares and gains")
    return data, parts


def _price(row: prices.PriceRow) -> dict[str, Any]:
    return {"budget": row.budget, "price": row.price, "unit": row.unit, "slack": row.slack,
            "binds": row.binds}


def pinned(policy: Policy, workspace: Workspace, text: str) -> tuple[dict[str, Any], Tables]:
    """What `show --why` prints: the price of one pin."""
    from mpsearch.steps.why import why_not

    found = why_not(policy, workspace, text)
    data = {"layer": found.layer, "scheme": str(found.scheme), "unit": found.unit,
            "best": found.best, "pinned": found.pinned, "cost": found.cost, "here": found.here,
            "proven": found.proven, "changes": {
                name: [str(side) for side in pair] for name, pair in found.changes.items()}}
    return {**data, "caveats": prices.caveats(_allocator(policy))}, [
        prices.pin(found), *prices.caveats(_allocator(policy))]


def _allocator(policy: Policy) -> Mapping[str, Any]:
    """What made the policy; nothing where its provenance was changed."""
    found = policy.provenance.get("allocator")
    return found if isinstance(found, Mapping) else {}


def diff_data(here: Policy, there: Policy) -> dict[str, Any]:
    """What `show --against` prints with ``--json``."""
    return {"differences": {name: [str(side) if side else None for side in pair]
                            for name, pair in here.diff(there).items()},
            "totals": [io.to_data(here.totals), io.to_data(there.totals)]}


def diff_tables(here: Policy, there: Policy, here_label: str, there_label: str) -> Tables:
    """The layers on which two policies differ."""
    return [table.difference(here, there, labels=(here_label, there_label))]


def spaces(name: str | None) -> tuple[dict[str, Any], Tables]:
    """What `spaces` prints: the shipped ones, or the text of one."""
    from mpsearch.spaces import load_space, shipped

    if name is None:
        loaded = {each: load_space(each) for each in shipped()}
        grid = Grid(title="Search spaces", columns=words("name", "description"), rows=tuple(
            (each, space.description) for each, space in loaded.items()))
        return {each: space.description for each, space in loaded.items()}, [grid]
    space = load_space(name)
    text = Path(shipped().get(name, Path(name))).read_text(encoding="utf-8")
    return {"name": space.name, "description": space.description, "toml": text}, [text]


def quantizers(name: str | None) -> tuple[dict[str, Any], Tables]:
    """What `spaces --quantizers` prints: every kind of format, installed ones included.

    Raises:
        BadInput: a space is named too.
    """
    if name is not None:
        raise BadInput(f"--quantizers lists all kinds of formats: leave out '{name}'")
    from mpsearch.report.kinds import kinds_data, kinds_tables

    data = kinds_data()
    return data, kinds_tables(data)
