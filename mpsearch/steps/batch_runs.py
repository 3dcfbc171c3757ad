"""Choices run batch by batch against the float model, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from mpsearch import metrics, plugins
from mpsearch.backends.simulated import SimulatedModule
from mpsearch.core.errors import BadInput
from mpsearch.fakequant.threads import threads_for
from mpsearch.nas.landscape import Choice
from mpsearch.sources.batch import Batch, Batches
from mpsearch.steps.choice import runnable
from mpsearch.steps.measure import Measured
from mpsearch.steps.reuse import Reuse
from mpsearch.steps.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A batch under a choice: the loss of each sample (KL, nats), and whether it is right.

    *right* is empty where the batch has no labels.
    """

    samples: tuple[float, ...]
    right: tuple[float, ...] = ()


class BatchRuns:
    """Runs choices of *measured* on any of *batches*, and keeps what the best one computed.

    Batches may come in any order, and not all of a choice's have to come.
    """

    def __init__(self, session: Session, measured: Measured, batches: Batches,
                 backend: str = "simulated") -> None:
        self._session, self._measured, self._batches = session, measured, batches
        self._make = plugins.make("backend", backend)
        self._references: dict[int, Tensor] = {}
        self._choice: Choice | None = None
        self._module: nn.Module | None = None

    @cached_property
    def _reuse(self) -> Reuse:
        # Made on demand, as all that needs the captured model: a study may have no trial left.
        return Reuse(self._session.captured, self._batches, self._session.request.memory)

    @cached_property
    def _macs(self) -> float:
        return self._session.captured.macs(self._session.request.batch_size)

    def all(self, choice: Choice, best: Choice | None) -> Iterator[Judged]:
        """Every batch in turn, run when it is asked for."""
        for index in range(len(self._batches)):
            yield self(choice, best, index)

    def __call__(self, choice: Choice, best: Choice | None, index: int) -> Judged:
        """The batch of that *index* under *choice*; *best* is the best one before it.

        Raises:
            BadInput: an output that is not finite.
        """
        batch = self._batches.batches[index]
        with torch.no_grad(), threads_for(macs=self._macs):
            output = self._output(self._begun(choice, best), batch, index)
            if not bool(torch.isfinite(output).all()):
                raise BadInput("the quantized model's output is not finite")
            samples = metrics.kl(self._reference(index), output).tolist()
            right = [] if batch.labels is None else metrics.correct(output, batch.labels).tolist()
        return Judged(samples=tuple(samples), right=tuple(right))

    def _begun(self, choice: Choice, best: Choice | None) -> nn.Module:
        """The model under *choice*, made when its first batch comes."""
        if self._module is None or choice != self._choice:
            if best is not None and best == self._choice:
                self._reuse.better()
            captured, policy = self._session.captured, runnable(self._measured, choice)
            self._module = self._make(captured.program, captured.fake, policy.schemes,
                                      policy.ranges)
            self._reuse.begin(policy.schemes)
            self._choice = choice
        return self._module

    def _output(self, module: nn.Module, batch: Batch, index: int) -> Tensor:
        """The output of *module*, from where it differs from the best choice's if it can be."""
        if isinstance(module, SimulatedModule):
            return self._reuse.run(module, batch.args, index)
        output: Tensor = module(*batch.args)
        return output

    def _reference(self, index: int) -> Tensor:
        if index not in self._references:
            batch = self._batches.batches[index]
            self._references[index] = self._session.captured.program.run(batch.args)
        return self._references[index]
