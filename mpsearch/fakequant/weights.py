"""Quantized weights of a model, with the parameters of all candidate formats found at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.core.types import Scheme
from mpsearch.fakequant.cut import Cut
from mpsearch.fakequant.kept import KeptCodes
from mpsearch.fakequant.threads import threads_for
from mpsearch.graph.execute import Program
from mpsearch.graph.layers import Layers
from mpsearch.graph.orientation import changed_rows, weight_rows
from mpsearch.graph.sites import Call
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.of_kind import quantizer_of


class Weights:
    """The stored weights of a model in any of their candidate formats.

    A tensor is visited once: parameters of all *formats* it may take are found together and kept.
    Codes and values are made on request; codes are kept only where numbers are coded together,
    which takes long.
    """

    def __init__(self, program: Program, layers: Layers) -> None:
        self._program = program
        self._calls = {spec.name: layers.call(spec.name) for spec in layers.specs
                       if spec.weight is not None}
        self._fitted: dict[tuple[Node, Format], Params] = {}
        self._codes = KeptCodes()
        self._restored: dict[tuple[Node, Format], Callable[[], Tensor]] = {}
        self._narrow: dict[tuple[Node, Format, Cut], Params] = {}

    def restore(self, layer: str, fmt: Format, params: Params,
                codes: Callable[[], Tensor]) -> None:
        """Take stored *params* and *codes* for *layer*'s weight in *fmt*; none are found then.

        *codes* gives them whenever they are asked for, output channels first.
        """
        self._fitted[self._node(layer), fmt] = params
        self._restored[self._node(layer), fmt] = codes

    def prepare(self, layer: str, schemes: Iterable[Scheme]) -> None:
        """Find the parameters of *layer*'s weight in every format that *schemes* give it.

        Raises:
            BadInput: the weight has values that are not finite.
        """
        call = self._calls.get(layer)
        if call is None or call.parameter is None:
            return
        wanted = dict.fromkeys(scheme.weight for scheme in schemes if scheme.weight is not None)
        missing = [fmt for fmt in wanted if (call.parameter, fmt) not in self._fitted]
        kinds = dict.fromkeys(fmt.kind for fmt in missing)
        for kind in kinds:
            formats = [fmt for fmt in missing if fmt.kind == kind]
            self._fit(layer, call, formats)

    def fake(self, layer: str, fmt: Format | None, cut: Cut | None = None) -> Tensor:
        """The weight of *layer* after a round trip through *fmt*, output channels first.

        Of a *cut* weight the part that stays goes through the format, as if it were all; None
        leaves it in float.
        """
        return self._changed(layer, self.rows(layer), fmt, cut)

    def fake_as_stored(self, layer: str, fmt: Format | None,
                       cut: Cut | None = None) -> tuple[Node, Tensor]:
        """The parameter's node, and its value after *fmt* in the orientation it is stored in."""
        call = self._calls[layer]
        assert call.parameter is not None  # noqa: S101 - only weighted layers are kept
        return call.parameter, changed_rows(
            self._stored(call), lambda rows: self._changed(layer, rows, fmt, cut), call.summed)

    def stored(self, layer: str) -> Tensor:
        """The float weight of *layer* as the model stores it."""
        return self._stored(self._calls[layer])

    def rows(self, layer: str) -> Tensor:
        """The float weight of *layer*, output channels first."""
        call = self._calls[layer]
        return weight_rows(self._stored(call), call.summed)

    def encode(self, layer: str, fmt: Format,
               cut: Cut | None = None) -> tuple[Tensor, Params]:
        """Codes and parameters of *layer*'s weight in *fmt*, output channels first.

        Of a *cut* weight those of the part that stays.
        """
        if cut is not None:
            return self._coded_part(layer, cut.part(self.rows(layer)), fmt, cut)
        return self._encoded(layer, self.rows(layer), fmt), self._params(layer, fmt)

    def _changed(self, layer: str, rows: Tensor, fmt: Format | None, cut: Cut | None) -> Tensor:
        if cut is None:
            return rows if fmt is None else self._round_trip(layer, rows, fmt)
        part = cut.part(rows)
        return cut.whole(part if fmt is None else self._part(layer, part, fmt, cut), rows)

    @torch.no_grad()
    def _part(self, layer: str, part: Tensor, fmt: Format, cut: Cut) -> Tensor:
        """What stays of a cut weight, after a round trip through *fmt* by itself."""
        codes, params = self._coded_part(layer, part, fmt, cut)
        return quantizer_of(fmt).decode(codes, params, fmt, dtype=part.dtype, shape=part.shape)

    @torch.no_grad()
    def _coded_part(self, layer: str, part: Tensor, fmt: Format,
                    cut: Cut) -> tuple[Tensor, Params]:
        quantizer, key = quantizer_of(fmt), (self._node(layer), fmt, cut)
        if key not in self._narrow:
            with threads_for(elements=part.numel()):
                self._narrow[key] = quantizer.fit(part, [fmt])[0]
        return quantizer.encode(part, self._narrow[key], fmt), self._narrow[key]

    def _round_trip(self, layer: str, rows: Tensor, fmt: Format) -> Tensor:
        params, quantizer = self._params(layer, fmt), quantizer_of(fmt)
        with torch.no_grad():
            codes = self._encoded(layer, rows, fmt)
            return quantizer.decode(codes, params, fmt, dtype=rows.dtype, shape=rows.shape)

    def _encoded(self, layer: str, rows: Tensor, fmt: Format) -> Tensor:
        params = self._params(layer, fmt)
        restored = self._restored.get((self._node(layer), fmt))
        if restored is not None:
            return restored()

        def find() -> Tensor:
            return quantizer_of(fmt).encode(rows, params, fmt)

        if fmt.columnwise:
            return find()
        return self._codes.get((self._node(layer), fmt), find)

    def _params(self, layer: str, fmt: Format) -> Params:
        call = self._calls[layer]
        assert call.parameter is not None  # noqa: S101 - only weighted layers are kept
        if (call.parameter, fmt) not in self._fitted:
            self._fit(layer, call, [fmt])
        return self._fitted[call.parameter, fmt]

    def _node(self, layer: str) -> Node:
        node = self._calls[layer].parameter
        assert node is not None  # noqa: S101 - only weighted layers are kept
        return node

    def _fit(self, layer: str, call: Call, formats: list[Format]) -> None:
        assert call.parameter is not None  # noqa: S101 - only weighted layers are kept
        try:
            rows = self.rows(layer)
            with torch.no_grad(), threads_for(elements=rows.numel()):
                found = quantizer_of(formats[0]).fit(rows, formats)
        except BadInput as error:
            raise BadInput(f"the weight of layer '{layer}': {error}") from error
        for fmt, params in zip(formats, found, strict=True):
            self._fitted[call.parameter, fmt] = params

    def _stored(self, call: Call) -> Tensor:
        assert call.parameter is not None  # noqa: S101 - only weighted layers are kept
        return self._program.parameters[call.parameter]
