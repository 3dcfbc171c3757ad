"""What `search` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.search import draw_search, search_tables
from mpsearch.report.search_front import draw_front, front_parts
from mpsearch.report.units import number
from mpsearch.shell.files import pictures
from mpsearch.shell.terminal import Tables, answer

if TYPE_CHECKING:
    from mpsearch.report.search_front import SearchFront
    from mpsearch.steps.found import Found


ARTIFACTS = "artifacts"
"""Folder in the workspace of the files that studies have: optuna-dashboard's --artifact-dir."""


def require_no_budget(budget: Sequence[str]) -> None:
    """Check that a front is not asked for within a *budget*.

    Raises:
        BadInput: it is.
    """
    if budget:
        raise BadInput("a front goes from the cheapest to the best policy: leave --budget out, or "
                       "--front")


def answer_search(found: Found, output: Path, workspace: str, *, as_json: bool) -> bool:
    """Write and print what was found, and attach it to its study; whether it was interrupted."""
    from mpsearch.nas.artifacts import attach_to

    files, searched = _written(found, output), found.searched
    attach_to(searched.storage, searched.study, files, Path(workspace) / ARTIFACTS)
    answer(_data(found, files), as_json, _shown(found, files))
    return found.searched.interrupted


def answer_front(found: SearchFront, output: Path, workspace: str, *, as_json: bool) -> bool:
    """Write and print a front, and attach it to its study; whether it was interrupted."""
    from mpsearch.nas.artifacts import attach_to

    stem = output.with_name(f"{output.stem}.front")
    io.save(Path(f"{stem}.json"), found)
    files = [Path(f"{stem}.json"), *pictures(found, stem, draw_front)]
    attach_to(found.storage, found.study, files, Path(workspace) / ARTIFACTS)
    parts = [*front_parts(found), *_end(found.interrupted, found.study, found.storage, files)]
    answer({**io.to_data(found), "files": [str(path) for path in files]}, as_json, parts)
    return found.interrupted


def _written(found: Found, output: Path) -> list[Path]:
    """Write the policy, and beside it every trial and the picture."""
    found.policy.save(str(output))
    stem = output.with_name(f"{output.stem}.search")
    trials = Path(f"{stem}.json")
    io.save(trials, found.report)
    return [output, trials, *pictures(found.report, stem, draw_search)]


def _data(found: Found, files: Sequence[Path]) -> dict[str, Any]:
    """What `search` prints with ``--json``."""
    policy = found.policy
    return {"totals": io.to_data(policy.totals), "search": policy.provenance["search"],
            "importance": dict(found.report.importance),
            "evaluation": io.to_data(policy.evaluation) if policy.evaluation else None,
            "layers": {name: str(scheme) for name, scheme in policy.layers.items()},
            "study": found.searched.study, "storage": found.searched.storage,
            "interrupted": found.searched.interrupted, "failures": list(found.searched.failures),
            "files": [str(path) for path in files]}


def _shown(found: Found, files: Sequence[Path]) -> Tables:
    """The search, its answer on held-out samples, and the files that were written."""
    parts = search_tables(found.report)
    if found.judged is not None:
        parts += [_held_out(found), _told(found)]
    searched = found.searched
    return [*parts, *_end(searched.interrupted, searched.study, searched.storage, files)]


def _end(interrupted: bool, study: str, storage: str, files: Sequence[Path]) -> list[str]:
    more = ["Interrupted: the same command goes on where this one stopped."] if interrupted else []
    return [*more, f"Study {study} in {storage}", *(f"wrote {path}" for path in files)]


def _told(found: Found) -> str:
    """What the held-out samples say of the search, in a sentence."""
    assert found.judged is not None  # noqa: S101 - it was asked before
    start, against = found.judged.start, found.judged.against.get(found.judged.start)
    if against is None:
        return f"The search found nothing better than where it began: the policy is {start}."
    if found.policy.provenance["search"]["winner"]:
        return f"Better than {start} beyond noise, here and on the samples that decided."
    worse = (" It is written all the same, since these samples choose nothing; with more "
             "--search-samples that is rarer.") if against.verdict == "worse" else ""
    return f"No proven winner over {start}: {against.words} on held-out samples.{worse}"


def _held_out(found: Found) -> Grid:
    assert found.judged is not None  # noqa: S101 - it was asked before
    rows = []
    for label, each in found.judged.measured.items():
        against, top1 = found.judged.against.get(label), each.evaluation.top1
        verdict = "" if against is None else (
            f"search is {against.words} ({number(against.low)} to {number(against.high)})")
        rows.append((label, number(each.evaluation.kl), number(each.evaluation.kl_stderr),
                     "" if top1 is None else f"{100 * top1:.1f}", verdict))
    return Grid(title=f"Held-out samples: {len(found.judged.measured[label].kl)}",
                columns=words("policy") + numbers("KL (nats)", "±", "top-1 %") + words("result"),
                rows=tuple(rows), strong=frozenset({0}))
