"""What integer kernels take, and what to do with the rest."""

from __future__ import annotations

from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import Format, IntFormat
from mpsearch.core.formats.sparse import Sparse24Format
from mpsearch.core.types import Scheme
from mpsearch.graph.sites import Call, Site
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.stairs import Stepped

BITS = 16
"""The widest integers."""
_ACTIVATIONS = ("tensor", "token")


def in_integers(call: Call, scheme: Scheme) -> bool:
    """Whether *call* runs in integers under *scheme*, which is one for its kind of layer.

    What keeps its inputs in float does not: its weight, in any format, is decoded once.

    Raises:
        Unsupported: it has operands in codes that no kernel multiplies.
    """
    if scheme.input is None and scheme.other is None:
        return False
    second, name = ((scheme.other, "other") if call.operation.weight is None
                    else (scheme.weight, "weight"))
    for fmt, operand in ((scheme.input, "input"), (second, name)):
        _require(call, operand, fmt)
    return True


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


def _require(call: Call, operand: str, fmt: Format | None) -> None:
    if fmt is None:
        raise Unsupported(f"layer '{call.layer}' keeps its {operand} in float beside codes, which "
                          f"no integer kernel multiplies: give its {operand} an int format of 2 to "
                          f"{BITS} bits, or none to both")
    if not _multiplied(call, operand, fmt):
        raise Unsupported(f"layer '{call.layer}' has its {operand} in {fmt.key}, which no integer "
                          f"kernel multiplies: the nearest is {_nearest(operand, fmt)}")


def _multiplied(call: Call, operand: str, fmt: Format) -> bool:
    """Whether numbers in *fmt* are whole numbers times scales that sums leave whole.

    Windows of a convolution reach over the blocks of activations.
    """
    if operand == "weight" and isinstance(fmt, Sparse24Format):
        return True
    blocks = operand != "weight" and fmt.group_size is not None
    if blocks and (isinstance(fmt, IntFormat) or call.operation.kind == "conv"):
        return False
    return isinstance(fmt, IntFormat) or isinstance(quantizer_of(fmt), Stepped)


def _nearest(operand: str, fmt: Format) -> str:
    bits = min(max(round(fmt.bits), 2), BITS)
    known = ("tensor", "channel") if operand == "weight" else _ACTIVATIONS
    head = fmt.granularity.partition(":")[0]
    fits = head in known or (operand == "weight" and head == "group")
    return f"int with {bits} bits, granularity {fmt.granularity if fits else known[-1]}"
