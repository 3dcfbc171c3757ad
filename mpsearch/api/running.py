"""Policies at work: applied, measured, timed, packed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation, Policy
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.progress import silent
from mpsearch.steps.session import OBJECT, Session, open_session
from mpsearch.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mpsearch.packed.writing import Written
    from mpsearch.report.speed import Speed
    from mpsearch.steps.pack import Packing
    from mpsearch.steps.speed import Timed
    from mpsearch.steps.unpack import PackedRun


def apply(policy: Policy, model: str | nn.Module | None = None, *,
          example: tuple[Tensor, ...] | None = None, backend: str = "simulated",
          **options: Any) -> nn.Module:
    """The model under *policy*, as a module that runs.

    *model* is a name or a module, by default the one the policy names. *example* is a tuple of
    inputs to capture the model with; image models that say their input size need none.

    Raises:
        BadInput: the policy was made for other weights or another model.
        Unsupported: the backend cannot run a scheme of the policy.
    """
    from mpsearch.steps.run import apply_policy

    return apply_policy(policy, _session(policy, model, options), example, backend)


def evaluate(policy: Policy, model: str | nn.Module | None = None, *, backend: str = "simulated",
             workspace: str = DEFAULT, progress: ProgressBar = silent,
             **options: Any) -> Evaluation:
    """Run *policy* on held-out data and compare it with the float model.

    *model*, ``weights`` and ``data`` default to those the policy was made with.

    Raises:
        BadInput: the policy was made for other weights or another model, or there is no data.
    """
    from mpsearch.steps.run import evaluate_policy

    return evaluate_policy(policy, _session(policy, model, options, workspace), progress, backend)


def speed(policy: Policy, model: str | nn.Module | None = None, *, backend: str = "integer",
          seconds: float = 2.0, **options: Any) -> Speed | None:
    """Time *policy* as *backend* runs it on one sample, beside the float model, for so long.

    *model* and *options* are those of `evaluate`. Sizes are told too.

    Raises:
        BadInput: the policy was made for other weights or another model, or a time without sense.
    """
    from mpsearch.steps.speed import speed_of

    return speed_of(policy, _session(policy, model, options), backend, seconds)


def evaluate_and_time(policy: Policy, model: str | nn.Module | None = None, *,
                      backend: str = "simulated", timing: float = 2.0, workspace: str = DEFAULT,
                      progress: ProgressBar = silent, **options: Any) -> Timed:
    """What `evaluate` does and then what `speed` does, for *timing* seconds (0 for not at all).

    Raises:
        BadInput: what either raises.
    """
    from mpsearch.steps.speed import evaluate_and_time as both

    return both(policy, _session(policy, model, options, workspace), progress, backend, timing)


def pack(policy: Policy, path: str, model: str | nn.Module | None = None, *,
         example: tuple[Tensor, ...] | None = None, **options: Any) -> Written:
    """Write the model under *policy* to one safetensors file, which runs without the float model.

    *model*, *example* and *options* are those of `apply`. The same policy gives the same bytes,
    as many as its totals state.

    Raises:
        BadInput: the policy was made for other weights or another model, or the place cannot be
            written.
        Unsupported: the model has a tensor that a safetensors file cannot hold.
    """
    from mpsearch.steps.pack import pack as write

    return write(policy, _session(policy, model, options), path, example)


def evaluate_and_pack(policy: Policy, path: str, model: str | nn.Module | None = None, *,
                      backend: str = "simulated", timing: float = 0.0, workspace: str = DEFAULT,
                      progress: ProgressBar = silent, **options: Any) -> Packing:
    """What `evaluate` does, where there is data, and then what `pack` does.

    For *timing* seconds the policy is timed beside the float model, see `speed`.

    Raises:
        BadInput: what either raises.
        Unsupported: what either raises.
    """
    from mpsearch.steps.pack import evaluate_and_pack as both

    return both(policy, _session(policy, model, options, workspace), path, backend, progress,
                timing=timing)


def unpack(path: str, model: str | nn.Module | None = None, *,
           example: tuple[Tensor, ...] | None = None, backend: str = "simulated",
           **options: Any) -> nn.Module:
    """The model in a file that `pack` wrote, as a module that runs under its policy.

    *model* gives the architecture: a name or a module, of which a copy is filled. Timm models and
    the embedded one need none. Nothing else is read: no float weights, no calibration data.

    Raises:
        BadInput: the file is damaged, of a later version, or does not fit the architecture.
    """
    from mpsearch.steps.run import apply_policy
    from mpsearch.steps.unpack import open_packed

    session = open_packed(path, model, options, example)
    return apply_policy(session.packed.policy, session, None, backend)


def run_packed(path: str, model: str | nn.Module | None = None, *, backend: str = "simulated",
               timing: float = 0.0, progress: ProgressBar = silent, **options: Any) -> PackedRun:
    """Run the model in a file that `pack` wrote, on held-out data where there is any.

    *model* is that of `unpack`; ``data``, ``evaluation_samples`` and ``batch_size`` are options.
    For *timing* seconds it is timed beside the same model in float.

    Raises:
        BadInput: what `unpack` raises, or data that cannot be used.
    """
    from mpsearch.steps.unpack import run

    return run(path, model, options, backend, progress, timing=timing)


_REMEMBERED = ("weights", "data", "seed", "calibration_samples", "evaluation_samples",
               "batch_size")


def _session(policy: Policy, model: str | nn.Module | None, options: dict[str, Any],
             workspace: str = DEFAULT) -> Session:
    """A session on the policy's own model and data, where the caller names no others."""
    made_with = policy.provenance
    if model is None and policy.model.source.startswith(OBJECT):
        raise BadInput(f"this policy was made from a Python {policy.model.source}: give the model")
    given = {name: made_with[name] for name in _REMEMBERED if made_with.get(name) is not None}
    if model is not None and model != policy.model.source:
        given = {}
    return open_session(policy.model.source if model is None else model, Workspace(workspace),
                        given | {name: value for name, value in options.items()
                                 if value is not None})
