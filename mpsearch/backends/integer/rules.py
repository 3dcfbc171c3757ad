"""What integer kernels take, and what to do with the rest."""

from __future__ import annotations

from typing import TypeGuard

from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import Format, IntFormat
from mpsearch.core.types import Scheme
from mpsearch.graph.sites import Call, Site

BITS = 8
"""The widest codes of weights, and of both factors where none is a weight."""
_WIDE = 16
"""The widest codes of an activation that is multiplied by a weight."""
_ACTIVATIONS = ("tensor", "token")


def in_integers(call: Call, scheme: Scheme) -> bool:
    """Whether *call* runs in integers under *scheme*, which is one for its kind of layer.

    What keeps its inputs in float does not: its weight, in any format, is decoded once.

    Raises:
        Unsupported: it has inputs in codes that no kernel multiplies.
    """
    if scheme.input is None and scheme.other is None:
        return False
    second, name = ((scheme.other, "other") if call.operation.weight is None
                    else (scheme.weight, "weight"))
    wide = _WIDE if call.operation.weight is not None else BITS
    for fmt, operand, most in ((scheme.input, "input", wide), (second, name, BITS)):
        _require(call.layer, operand, fmt, most)
    return True


def whole(fmt: Format | None) -> TypeGuard[IntFormat]:
    """Whether numbers in *fmt* are integers."""
    return isinstance(fmt, IntFormat)


def require(site: Site, targets: frozenset[str]) -> str:
    """The operation of *site*, which must be one of *targets* in its plain form.

    Raises:
        Unsupported: it is not.
    """
    target, more = str(site.node.target), site.node.kwargs
    if target not in targets or more:
        options = " with " + ", ".join(more) if more else ""
        raise Unsupported(f"layer '{site.layers[0]}': there is no integer kernel for {target}"
                          f"{options}: leave its operands in float")
    return target


def _require(layer: str, operand: str, fmt: Format | None, most: int) -> None:
    if fmt is None:
        raise Unsupported(f"layer '{layer}' keeps its {operand} in float beside codes, which no "
                          f"integer kernel multiplies: give its {operand} an int format of 2 to "
                          f"{most} bits, or none to both")
    right = operand == "weight" or fmt.granularity in _ACTIVATIONS
    if not whole(fmt) or fmt.bits > most or not right:
        raise Unsupported(f"layer '{layer}' has its {operand} in {fmt.key}, which no integer "
                          f"kernel multiplies: the nearest is {_nearest(operand, fmt, most)}")


def _nearest(operand: str, fmt: Format, most: int) -> str:
    bits = min(max(round(fmt.bits), 2), most)
    known = ("tensor", "channel") if operand == "weight" else _ACTIVATIONS
    head = fmt.granularity.partition(":")[0]
    fits = head in known or (operand == "weight" and head == "group")
    return f"int with {bits} bits, granularity {fmt.granularity if fits else known[-1]}"
