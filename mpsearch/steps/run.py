"""Apply a policy to its model, and evaluate it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.core.types import OPERANDS, Evaluation, LayerSpec, ModelRef, Policy, Scheme
from mpsearch.steps.capture import Captured
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.measurement import Runnable, measure_policies
from mpsearch.steps.session import Session

_SHOWN = 3


def apply_policy(policy: Policy, session: Session, example: tuple[Tensor, ...] | None,
                 backend: str) -> nn.Module:
    """The session's model under *policy*; see `mpsearch.apply`."""
    captured = session.captured_on(example)
    check_fits(policy, captured)
    module: nn.Module = plugins.make("backend", backend)(
        captured.program, captured.fake, policy.layers, policy.activations)
    return module


def evaluate_policy(policy: Policy, session: Session, progress: ProgressBar,
                    backend: str) -> Evaluation:
    """Measure *policy* on the session's held-out data; see `mpsearch.evaluate`."""
    plugins.make("backend", backend)
    check_fits(policy, session.captured)
    runnable = Runnable(schemes=policy.layers, ranges=policy.activations)
    found = measure_policies(session, {"policy": runnable}, progress, backend=backend)
    return found["policy"].evaluation


def check_fits(policy: Policy, captured: Captured) -> None:
    """Check that *policy* was made for the captured model.

    Raises:
        BadInput: other weights, layers that one of the two lacks, a format that its operand
            cannot have, or layers of one branch that leave out different parts of it.
    """
    _check_layers(policy.layers, {spec.name for spec in captured.layers.specs})
    _check_model(policy.model, captured.model)
    for spec in captured.layers.specs:
        _check_formats(policy, spec)
    for branch in captured.layers.branches:
        if len({policy.layers[layer].keep for layer in branch.layers}) > 1:
            raise BadInput("this policy cannot be run: its layers leave out different parts of "
                           f"'{branch.name}'")


def _check_layers(layers: Mapping[str, Scheme], names: set[str]) -> None:
    for title, missing in (("the model has no layer", [n for n in layers if n not in names]),
                           ("the policy says nothing of", sorted(names - layers.keys()))):
        if missing:
            shown = ", ".join(missing[:_SHOWN]) + (" …" if len(missing) > _SHOWN else "")
            raise BadInput(f"this policy is for another model: {title} {shown}; "
                           "allocate a policy for this model")


def _check_formats(policy: Policy, spec: LayerSpec) -> None:
    scheme = policy.layers[spec.name]
    for operand in OPERANDS[spec.kind]:
        fmt: Format | None = getattr(scheme, operand)
        if fmt is None:
            continue
        try:
            fmt.require(operand)
        except BadInput as error:
            raise BadInput(f"this policy cannot be run: layer '{spec.name}': {error}") from error
        known = policy.activations.get(spec.name, {})
        if operand != "weight" and fmt.calibrated and operand not in known:
            raise BadInput(f"this policy cannot be run: layer '{spec.name}': its {operand} has no "
                           f"calibrated range for {fmt}")


def _check_model(wanted: ModelRef, found: ModelRef) -> None:
    if wanted.fingerprint != found.fingerprint:
        raise BadInput(
            f"this policy was made for other weights of {wanted.source} (fingerprint "
            f"{_short(wanted)}, this model has {_short(found)}): give the weights it was made "
            "with, or allocate a policy for these")


def _short(model: ModelRef) -> str:
    return model.fingerprint.removeprefix("sha256:")[:12]
