"""Choices of schemes measured on the samples that a search may see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mpsearch import metrics, plugins
from mpsearch.backends.simulated import SimulatedModule
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.nas.landscape import Choice
from mpsearch.nas.task import GoOn, Outcome
from mpsearch.sources.batch import Batches
from mpsearch.steps.choice import runnable
from mpsearch.steps.measure import Measured
from mpsearch.steps.reuse import Reuse
from mpsearch.steps.session import Session

_FEWEST = 32
"""Samples of their own that a search needs; with fewer it shares those of the scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchData:
    """*batches* to judge choices by; *shared* if scores were made of the same samples."""

    batches: Batches
    shared: bool


def search_data(session: Session, samples: int) -> SearchData:
    """At most *samples* of the calibration split, none of which scores were made of.

    Where that leaves fewer than 32, the samples of the scores are among them.

    Raises:
        BadInput: there is no data, or not a positive number of samples.
    """
    if samples < 1:
        raise BadInput(f"a search needs at least one sample to judge by, not {samples}")
    used = session.request.calibration_samples
    whole = session.samples("calibration", used + samples)
    own = _without(whole, used)
    if own is not None and own.samples >= min(samples, _FEWEST):
        return SearchData(batches=own, shared=False)
    return SearchData(batches=session.samples("calibration", samples), shared=True)


class TrialRunner:
    """The float model's outputs on *batches*, and choices of *measured* against them."""

    def __init__(self, session: Session, measured: Measured, batches: Batches,
                 backend: str = "simulated") -> None:
        self._session, self._measured, self._batches = session, measured, batches
        self._make = plugins.make("backend", backend)
        self._references: list[Tensor] = []
        self._reuse: Reuse | None = None
        self._least = math.inf

    def __call__(self, choice: Choice, go_on: GoOn) -> Outcome:
        """The losses of *choice*, batch by batch, while *go_on* says so.

        Raises:
            BadInput: an output that is not finite.
        """
        captured = self._session.captured
        policy = runnable(self._measured, choice)
        module = self._make(captured.program, captured.fake, policy.schemes, policy.ranges)
        run = self._begun(module, policy.schemes)
        samples: list[float] = []
        right: list[float] = []
        for batch, reference in zip(self._batches, self._outputs(), strict=True):
            output = run(batch.args)
            if not bool(torch.isfinite(output).all()):
                raise BadInput("the quantized model's output is not finite")
            samples += metrics.kl(reference, output).tolist()
            if batch.labels is not None:
                right += metrics.correct(output, batch.labels).tolist()
            if len(samples) < self._batches.samples and not go_on(samples):
                return Outcome(samples=tuple(samples), complete=False)
        labelled = len(right) == len(samples)
        outcome = Outcome(samples=tuple(samples),
                          accuracy=sum(right) / len(right) if labelled else None)
        if self._reuse is not None and outcome.loss < self._least:
            self._least = outcome.loss
            self._reuse.better()
        return outcome

    def _begun(self, module: nn.Module,
               schemes: Mapping[str, Scheme]) -> Callable[[tuple[Tensor, ...]], Tensor]:
        """What runs *module* on one batch after the other, from where it differs if it can."""
        def plain(args: tuple[Tensor, ...]) -> Tensor:
            with torch.no_grad():
                output: Tensor = module(*args)
            return output

        if not isinstance(module, SimulatedModule):
            return plain
        if self._reuse is None:
            session = self._session
            self._reuse = Reuse(session.captured, self._batches, session.request.memory)
        reuse = self._reuse
        reuse.begin(schemes)

        def resumed(args: tuple[Tensor, ...]) -> Tensor:
            with torch.no_grad():
                return reuse.run(module, args)

        return resumed

    @torch.no_grad()
    def _outputs(self) -> list[Tensor]:
        if not self._references:
            run: Callable[..., Tensor] = self._session.captured.program.run
            self._references = [run(batch.args) for batch in self._batches]
        return self._references


def _without(batches: Batches, first: int) -> Batches | None:
    """*batches* less their *first* samples; None if that is all of them."""
    kept, passed = [], 0
    for batch in batches:
        skip = min(max(first - passed, 0), batch.size)
        passed += batch.size
        if skip < batch.size:
            kept.append(batch.rows(slice(skip, None)))
    return Batches.of(kept, note=batches.note) if kept else None
