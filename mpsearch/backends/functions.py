"""Which operations between layers are computed by the kernels' own functions.

What integer products read, and attention's softmax between two of them, is computed with the same
bits everywhere: alone, fused into a product, or in the exact simulation, which asks here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.fx import Node

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.graph.execute import Program
from mpsearch.graph.operations import argument
from mpsearch.graph.sites import Call
from mpsearch.kernels import functions

Schemes = Mapping[str, Scheme]
_BYTE = 8
_GELU, _NORM = "aten.gelu.default", "aten.layer_norm.default"


def own_functions(program: Program, schemes: Schemes) -> dict[Node, Callable[..., Tensor]]:
    """What runs instead of each GELU and layer norm whose users all code its output."""
    found: dict[Node, Callable[..., Tensor]] = {}
    for node in program.nodes:
        if _is_gelu(node) and _all_code(program, node, schemes):
            found[node] = _gelu
        elif is_layer_norm(node) and _all_code(program, node, schemes):
            found[node] = _layer_norm
    return found


def is_layer_norm(node: Node) -> bool:
    """Whether *node* is a layer norm of the last dimension."""
    return str(node.target) == _NORM and len(argument(node, 1)) == 1


def is_gelu(function: Callable[..., Any] | None) -> bool:
    """Whether a *function* that `own_functions` found is GELU."""
    return function is _gelu


def own_softmax(calls: Sequence[Call], schemes: Schemes) -> Callable[[Tensor], Tensor] | None:
    """The softmax of attention with these two *calls*; None where it is torch's."""
    scheme = schemes.get(calls[-1].layer, Scheme()).for_kind("matmul")
    both = isinstance(scheme.input, IntFormat) and isinstance(scheme.other, IntFormat)
    return functions.softmax if both else None


def norm_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]
                   ) -> tuple[Tensor | None, Tensor | None, float]:
    """Weight, bias and the number that is added to the variance."""
    more = dict(zip(("weight", "bias", "eps"), args[2:], strict=False)) | dict(kwargs)
    return more.get("weight"), more.get("bias"), float(more.get("eps", 1e-5))


def _gelu(x: Tensor, **_: object) -> Tensor:
    return functions.gelu(x)


def _layer_norm(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return functions.layer_norm(x, *norm_arguments((x, *args), kwargs))


def _is_gelu(node: Node) -> bool:
    return str(node.target) == _GELU and str(node.kwargs.get("approximate", "none")) == "none"


def _all_code(program: Program, node: Node, schemes: Schemes) -> bool:
    return bool(node.users) and all(_codes(program, user, node, schemes) for user in node.users)


def _codes(program: Program, user: Node, node: Node, schemes: Schemes) -> bool:
    """Whether *user* is one layer that reads *node* as codes of at most 8 bits, and only so."""
    site = program.sites.get(user)
    if site is None or len(site.calls) != 1 or site.calls[0].parameter is None:
        return False
    call = site.calls[0]
    own = schemes.get(call.layer, Scheme()).for_kind(call.operation.kind)
    place = call.operation.input
    if place is None or call.operation.kind != "linear":
        return False
    return ([arg is node for arg in user.args].count(True) == 1
            and user.args[place.index] is node  # and no bias
            and isinstance(own.weight, IntFormat) and isinstance(own.input, IntFormat)
            and own.input.bits <= _BYTE)
