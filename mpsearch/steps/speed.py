"""How long a policy takes beside the float model, the two taking turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation, Policy, unique_weights
from mpsearch.fakequant.threads import threads_for
from mpsearch.graph.laps import laps
from mpsearch.graph.samples import repeat
from mpsearch.report.speed import Speed
from mpsearch.steps.capture import Captured
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.run import check_fits, evaluate_policy
from mpsearch.steps.session import Session

DEFAULT_SECONDS = 2.0
_PASSES = 3
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What running a policy says: how good it is, and how fast, None where that was not asked."""

    evaluation: Evaluation
    speed: Speed | None


def evaluate_and_time(policy: Policy, session: Session, progress: ProgressBar, backend: str,
                      seconds: float) -> Timed:
    """Measure *policy* on held-out data, then time it; see `mpsearch.api.evaluate_and_time`."""
    require_seconds(seconds)
    evaluation = evaluate_policy(policy, session, progress, backend)
    return Timed(evaluation=evaluation, speed=speed_of(policy, session, backend, seconds))


def require_seconds(seconds: float) -> None:
    """Check how long to time.

    Raises:
        BadInput: a negative number, or none that ends.
    """
    if not 0 <= seconds < math.inf:
        raise BadInput(f"a policy is timed for 0 seconds (not at all) or more, not {seconds}")


def speed_of(policy: Policy, session: Session, backend: str, seconds: float) -> Speed | None:
    """Time *policy* as *backend* runs it beside the float model; None for 0 seconds.

    On one sample, or as many as the captured graph takes. The two take turns until the *seconds*
    are over, at least once. Every operation's shortest time counts, so that what else a machine
    does is left out as far as it leaves an operation alone once.

    Raises:
        BadInput: a time without sense, or a policy for another model.
    """
    require_seconds(seconds)
    if not seconds:
        return None
    captured = session.captured
    check_fits(policy, captured)
    module = plugins.make("backend", backend)(captured.program, captured.fake, policy.layers,
                                              policy.activations)
    batch = captured.program.traced.batch or 1
    inputs = repeat(session.example, batch)
    with threads_for(macs=captured.macs(batch)):
        plain, quantized = _beside([partial(captured.program.run, inputs),
                                    partial(module, *inputs)], seconds)
        threads = torch.get_num_threads()
    return Speed(backend=plugins.canonical("backend", backend), batch=batch, threads=threads,
                 float_ms=plain, policy_ms=quantized, float_bytes=_float_bytes(captured),
                 policy_bytes=policy.totals.file_bytes, float_inputs=not any(
                     scheme.input or scheme.other for scheme in policy.layers.values()))


def _float_bytes(captured: Captured) -> int:
    weights = unique_weights(captured.layers.specs)
    return captured.other_bytes + sum(each.weights * each.float_bits // 8 for each in weights)


@torch.inference_mode()
def _beside(runs: list[Callable[[], Any]], seconds: float) -> list[float]:
    """Milliseconds of each of *runs*."""
    watches = [_Watch(run) for run in runs]
    end = time.monotonic() + seconds
    while True:
        for watch in watches:
            watch.turn()
        if time.monotonic() >= end:
            break
    in_parts = all(watch.parts for watch in watches)
    return [(sum(watch.parts) if in_parts else watch.whole) / _NS_PER_MS for watch in watches]


@dataclass(kw_only=False)
class _Watch:
    """The shortest times of what *run* runs: of its parts, where it tells them, and the whole."""

    run: Callable[[], Any]
    parts: list[int] = field(default_factory=list)
    whole: float = math.inf

    def turn(self) -> None:
        """Run it once to bring its weights into the caches, then a few times by the clock."""
        self.run()
        for _ in range(_PASSES):
            start = time.perf_counter_ns()
            with laps() as done:
                self.run()
            self.whole = min(self.whole, time.perf_counter_ns() - start)
            taken = [each for _, each in done]
            self.parts = list(map(min, taken, self.parts)) if self.parts else taken
