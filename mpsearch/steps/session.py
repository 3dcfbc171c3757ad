"""One request at work: the model is loaded and captured once, and only if it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mpsearch.core.errors import BadInput
from mpsearch.steps.request import Request
from mpsearch.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mpsearch.sources.batch import Batches
    from mpsearch.sources.division import Split
    from mpsearch.sources.model import LoadedModel
    from mpsearch.steps.capture import Captured


OBJECT = "object "
"""How the source of a model begins that was given as a module, not by name."""


class Session:
    """A request, its workspace, and the loaded model once something needs it."""

    def __init__(self, request: Request, workspace: Workspace) -> None:
        self.request = request
        self.workspace = workspace

    def __getstate__(self) -> dict[str, Any]:
        # What is made on demand is made again elsewhere: captured graphs do not pickle.
        return {name: value for name, value in vars(self).items()
                if name not in {"loaded", "calibration", "evaluation", "captured"}}

    @cached_property
    def key(self) -> str:
        """Key of what is measured for this request."""
        return self.request.study_key()

    @property
    def has_data(self) -> bool:
        """Whether there is anything to calibrate and measure on."""
        return self.request.data_spec is not None

    @cached_property
    def loaded(self) -> LoadedModel:
        """The model, frozen and in evaluation mode."""
        from mpsearch.sources.model import load_model

        return load_model(self.request.model, self.request.weights)

    @cached_property
    def calibration(self) -> Batches | None:
        """The calibration batches, None without data."""
        return self._split("calibration", self.request.calibration_samples)

    @cached_property
    def evaluation(self) -> Batches:
        """The held-out batches.

        Raises:
            BadInput: there is no data.
        """
        return _required(self._split("evaluation", self.request.evaluation_samples))

    @property
    def calibrated(self) -> Batches:
        """The calibration batches.

        Raises:
            BadInput: there is no data.
        """
        return _required(self.calibration)

    def samples(self, split: Split, count: int) -> Batches:
        """At most *count* samples of *split*; fewer are the beginning of more.

        Raises:
            BadInput: there is no data.
        """
        return _required(self._split(split, count))

    @cached_property
    def captured(self) -> Captured:
        """The model as a program with its layers."""
        from mpsearch.steps.capture import capture, example_inputs

        batches, module = self.calibration, self.loaded.module
        if batches is not None:
            return capture(module, batches.batches[0].args, source=self.request.model)
        example = example_inputs(self.loaded)
        try:
            return capture(module, example, source=self.request.model)
        except BadInput as error:
            raise BadInput("without data the model is captured on a blank image of shape "
                           f"{tuple(example[0].shape[1:])}, which fails: give --data ({error})"
                           ) from error

    def captured_on(self, example: tuple[Tensor, ...] | None) -> Captured:
        """The model captured on *example*, or on what is at hand where there is none."""
        from mpsearch.steps.capture import capture

        return self.captured if example is None else capture(
            self.loaded.module, example, source=self.request.model)

    @property
    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the form that the model takes: some of the data, or blank images."""
        from mpsearch.steps.capture import example_inputs

        batches = self.calibration
        return example_inputs(self.loaded) if batches is None else batches.batches[0].args

    def _split(self, split: Any, samples: int) -> Batches | None:
        from mpsearch.sources.data import load_data

        spec = self.request.data_spec
        if spec is None:
            return None
        return load_data(spec, self.loaded.preprocessing, split=split, samples=samples,
                         batch_size=self.request.batch_size, seed=self.request.seed)


def _required(batches: Batches | None) -> Batches:
    if batches is None:
        raise BadInput("running a policy needs data: give --data (an image folder, a CSV, an "
                       ".npz or package.module:function), or allocate with --no-verify")
    return batches


def open_session(model: str | nn.Module | None, workspace: Workspace,
                 options: Mapping[str, Any]) -> Session:
    """A session on a model given by name, as a module, or by default the embedded one.

    Raises:
        BadInput: an option that `Request` does not have.
    """
    if model is None or isinstance(model, str):
        if not isinstance(options.get("data"), str | None):
            raise BadInput("batches go with a module: with a model by name, give data by name too")
        return Session(_request(options if model is None else {**options, "model": model}),
                       workspace)
    from mpsearch.steps.objects import ObjectSession

    options = dict(options)
    return ObjectSession(model, options.pop("data", None), _request(
        {**options, "model": f"{OBJECT}{type(model).__module__}.{type(model).__qualname__}"}),
        workspace)


def _request(options: Mapping[str, Any]) -> Request:
    try:
        return Request(**options)
    except TypeError as error:
        known = ", ".join(Request.__dataclass_fields__)
        raise BadInput(f"{str(error).rpartition('() ')[2]}: the options are {known}") from error
