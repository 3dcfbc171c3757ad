"""From a packed file to a model that runs: no float model, no calibration, no network."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy
from mpsearch.graph.samples import repeat
from mpsearch.packed.contents import constants_digest
from mpsearch.packed.decoding import Weight, check_ranges, weight_of
from mpsearch.packed.reading import Packed, read_packed
from mpsearch.report.speed import Speed
from mpsearch.sources.batch import Batches
from mpsearch.sources.model import LoadedModel
from mpsearch.sources.names import FunctionName, is_timm_name
from mpsearch.sources.objects import given_model
from mpsearch.steps.architecture import fill, filled
from mpsearch.steps.capture import Captured, capture
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.request import DEFAULT_MODEL, Request
from mpsearch.steps.run import apply_policy, check_fits
from mpsearch.steps.score import Score, score
from mpsearch.steps.session import Session
from mpsearch.steps.speed import require_seconds, speed_of
from mpsearch.workspace import DEFAULT, Workspace

_MOST = 1 << 28
"""Numbers in all inputs together beyond which no example is made of them."""
_REMEMBERED = ("seed", "evaluation_samples", "batch_size")
_CONSTANTS = ("the architecture computes other constants here than where {path} was written "
              "(another version of a library?): outputs may differ")


class PackedSession(Session):
    """A session on the model in a packed file: its float weights are not there, nor needed."""

    def __init__(self, packed: Packed, request: Request, module: nn.Module | None = None,
                 example: tuple[Tensor, ...] | None = None) -> None:
        super().__init__(request, Workspace(DEFAULT))
        self.packed = packed
        self._module, self._given = module, example

    @cached_property
    def weights(self) -> dict[str, Weight]:
        """The packed weights by their names.

        Raises:
            BadInput: one of them is damaged.
        """
        return {name: weight_of(self.packed, name) for name in self.packed.manifest.weights}

    @cached_property
    def loaded(self) -> LoadedModel:
        """The architecture, filled."""
        if self._module is None:
            return filled(self.packed, self.request.model, self.weights)
        module = deepcopy(self._module).requires_grad_(requires_grad=False)
        fill(self.packed, module, self.weights)
        return given_model(module)

    @cached_property
    def calibration(self) -> Batches | None:
        """Nothing: what was calibrated is in the file."""
        return None

    @cached_property
    def captured(self) -> Captured:
        """The model as a program, which computes with the stored codes."""
        made = capture(self.loaded.module, self._example(), source=self.packed.policy.model.source)
        self._restore(made)
        check_ranges(self.packed.policy, self.packed.path)
        names = {*self.packed.others, *self.packed.manifest.weights, *self.packed.manifest.aliases}
        same = constants_digest(made.program, names) == self.packed.manifest.constants
        notes = made.notes if same else (*made.notes, _CONSTANTS.format(path=self.packed.path))
        made = replace(made, model=self.packed.policy.model, notes=notes)
        try:
            check_fits(self.packed.policy, made)
        except BadInput as error:
            raise BadInput(f"{self.packed.path}: {error}") from error
        return made

    def _example(self) -> tuple[Tensor, ...]:
        """Inputs as those that the model was captured with: of the data, or else blank."""
        if self._given is not None:
            return self._given
        stated = self.packed.manifest.inputs
        kinds = [getattr(torch, each.dtype, None) for each in stated]
        if not stated or not stated[0].shape or not all(
                isinstance(kind, torch.dtype) for kind in kinds) or (
                sum(math.prod(each.shape) for each in stated) > _MOST):
            raise BadInput(f"the manifest in {self.packed.path} is damaged: it states no possible "
                           "inputs")
        if self.has_data:
            return repeat(self.evaluation.batches[0].args, stated[0].shape[0])
        return tuple(torch.zeros(each.shape, dtype=kind)
                     for each, kind in zip(stated, kinds, strict=True))

    def _restore(self, made: Captured) -> None:
        """Hand the stored codes to the layers that they belong to."""
        found = made.storable(self.loaded.module).weights
        for name, weight in self.weights.items():
            if found.get(name) != weight.stored:
                raise BadInput(f"{self.packed.path} does not fit the model: the weight '{name}' is "
                               "used in another way than where the file was written")
            made.fake.weights.restore(weight.stored.layers[0], weight.fmt, weight.params,
                                      weight.codes)
        layers = self.packed.policy.layers
        for name, stored in found.items():
            quantized = [each for each in stored.layers
                         if each in layers and layers[each].weight is not None]
            if quantized and name not in self.weights:
                raise BadInput(f"the policy in {self.packed.path} does not fit its tensors: layer "
                               f"'{quantized[0]}' has its weight in float")


def open_packed(path: str | os.PathLike[str], model: str | nn.Module | None,
                options: Mapping[str, Any], example: tuple[Tensor, ...] | None = None,
                ) -> PackedSession:
    """A session on the packed file at *path*.

    *model* is the architecture, which is copied, or names what builds it: by default what the
    policy names, if that is a timm model or comes with the package. A file does not decide what
    code of yours is run.

    Raises:
        BadInput: the file is not usable, or the architecture is to be named.
    """
    packed = read_packed(path)
    made_with = packed.policy.provenance
    given = {name: made_with[name] for name in _REMEMBERED if type(made_with.get(name)) is int}
    given |= {name: value for name, value in options.items() if value is not None}
    if isinstance(model, nn.Module):
        return PackedSession(packed, Request(**given, model=packed.policy.model.source), model,
                             example)
    return PackedSession(packed, Request(**given, model=model or _own_model(packed)),
                         example=example)


def _own_model(packed: Packed) -> str:
    source = packed.policy.model.source
    if source == DEFAULT_MODEL or (is_timm_name(source) and FunctionName.parse(source) is None):
        return source
    raise BadInput(f"{packed.path} was made from {source!s:.80}, which is your own code: name what "
                   "builds it with --model (a file does not decide what code is run)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRun:
    """What came of running a packed file: what is in it, its score where there was data, notes.

    *speed* is beside the same model in float, None where it was not asked for.
    """

    policy: Policy
    file_bytes: int
    header_bytes: int
    score: Score | None
    notes: tuple[str, ...]
    speed: Speed | None = None


def run(path: str, model: str | nn.Module | None, options: Mapping[str, Any], backend: str,
        progress: ProgressBar, *, timing: float) -> PackedRun:
    """Run the packed file at *path*; see `mpsearch.run_packed`."""
    plugins.require("backend", backend)
    require_seconds(timing)
    session = open_packed(path, model, options)
    packed = session.packed
    module = apply_policy(packed.policy, session, None, backend)
    found = score(module, session, progress) if session.has_data else None
    return PackedRun(policy=packed.policy, file_bytes=packed.file_bytes,
                     header_bytes=packed.header_bytes, score=found, notes=session.captured.notes,
                     speed=speed_of(packed.policy, session, backend, timing))
