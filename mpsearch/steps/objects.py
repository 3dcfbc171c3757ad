"""A session on a module and batches that the caller already holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from mpsearch.graph.fingerprint import fingerprint
from mpsearch.sources.batch import Batches
from mpsearch.sources.model import LoadedModel
from mpsearch.sources.objects import given_model, load_batches
from mpsearch.steps.request import Request
from mpsearch.steps.session import Session
from mpsearch.workspace import Workspace, digest


class ObjectSession(Session):
    """Keys come from the content of the weights and batches instead of names of files.

    The module is put in evaluation mode while nothing else of it changes.
    """

    def __init__(self, module: nn.Module, data: str | Iterable[Any] | None, request: Request,
                 workspace: Workspace) -> None:
        named = data if isinstance(data, str) else None
        fields = {name: getattr(request, name) for name in Request.__dataclass_fields__}
        super().__init__(Request(**{**fields, "data": named}), workspace)
        self._module = module
        whole = data is None or isinstance(data, Tensor | tuple | Mapping)
        self._data: Any = None if named else data if whole else list(data or ())

    @cached_property
    def key(self) -> str:
        """Key of what is measured for this module, data and request."""
        data = self.request.data_key() if self._data is None else [
            batches.digest for batches in (self.calibration, self.evaluation) if batches]
        return digest({"fingerprint": fingerprint(self._module), "structure": repr(self._module),
                       "data": data, "settings": self.request.settings()})

    @property
    def has_data(self) -> bool:
        """Whether the caller gave batches or named data."""
        return self._data is not None or super().has_data

    @cached_property
    def loaded(self) -> LoadedModel:
        """The caller's module."""
        return given_model(self._module)

    def _split(self, split: Any, samples: int) -> Batches | None:
        if self._data is None:
            return super()._split(split, samples)
        return load_batches(self._data, split=split, samples=samples,
                            batch_size=self.request.batch_size, seed=self.request.seed)
