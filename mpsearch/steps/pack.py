"""Write a policy with its model as one packed file."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from torch import Tensor

from mpsearch.core import io
from mpsearch.core.errors import Unsupported
from mpsearch.core.types import Evaluation, LayerSpec, Policy, Totals, unique_weights
from mpsearch.cost.bops import bit_operations
from mpsearch.cost.size import stored_bits
from mpsearch.packed.contents import constants_digest, contents_of
from mpsearch.packed.writing import Written, write_packed
from mpsearch.report.speed import Speed
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.run import check_fits, evaluate_policy
from mpsearch.steps.session import Session
from mpsearch.steps.speed import require_seconds, speed_of


def pack(policy: Policy, session: Session, path: str | os.PathLike[str],
         example: tuple[Tensor, ...] | None = None) -> Written:
    """Write the session's model under *policy* to *path*; see `mpsearch.pack`."""
    _require_whole(policy)
    _require_apart(path, session)
    captured = session.captured_on(example)
    check_fits(policy, captured)
    found = captured.storable(session.loaded.module)
    exact = replace(policy, totals=_recounted(policy, captured.layers.specs))
    stored = {*found.weights, *found.others, *found.aliases}
    return write_packed(path, contents_of(exact, found, captured.fake, captured.inputs,
                                          constants_digest(captured.program, stored)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """A file that was written, and what the policy in it measures; None where there was no data.

    *speed* is None where it was not asked for.
    """

    written: Written
    evaluation: Evaluation | None
    speed: Speed | None = None


def evaluate_and_pack(policy: Policy, session: Session, path: str | os.PathLike[str],
                      backend: str, progress: ProgressBar, *, timing: float) -> Packing:
    """Run *policy* where there is data, then write it to *path*; see `mpsearch.pack`."""
    _require_whole(policy)
    io.require_writable(path)
    require_seconds(timing)
    _require_apart(path, session)
    evaluation = evaluate_policy(policy, session, progress, backend) if session.has_data else None
    speed = speed_of(policy, session, backend, timing)
    return Packing(written=pack(policy, session, path), evaluation=evaluation, speed=speed)


def _require_whole(policy: Policy) -> None:
    """Refuse a policy that leaves parts of the network out: a file holds whole weights."""
    for layer, scheme in policy.layers.items():
        if scheme.keep is not None:
            raise Unsupported(
                f"layer '{layer}': a packed file holds whole weights, and this policy leaves out "
                f"parts of '{scheme.keep.branch}' ({scheme.keep}): run it with the model, or "
                "allocate one without [[subnet]]")


def _require_apart(path: str | os.PathLike[str], session: Session) -> None:
    io.require_apart(path, session.request.weights, session.request.data)


def _recounted(policy: Policy, layers: tuple[LayerSpec, ...]) -> Totals:
    """The policy's totals, and where its layers were changed after they were counted, new ones.

    Then the stated size of the file is none, and the file takes what it needs.
    """
    size = sum(stored_bits(each, policy.layers[each.name]) for each in unique_weights(layers))
    weights = sum(each.weights for each in unique_weights(layers))
    if (size, weights) == (policy.totals.size_bits, policy.totals.weights):
        return policy.totals
    return replace(policy.totals, weights=weights, size_bits=size, file_bytes=0,
                   bits_per_weight=size / weights if weights else 0.0,
                   bops=sum(bit_operations(each, policy.layers[each.name]) for each in layers))
