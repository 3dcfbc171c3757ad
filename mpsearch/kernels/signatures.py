"""What the functions of the C interface take, so that calls convert plain numbers and addresses."""

from __future__ import annotations

import ctypes

_INT, _LONG, _AT, _FLOAT = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_float
_CODES = (_AT, *[_LONG] * 4, _AT, _AT, _LONG)
_SIGNATURES = {
    "mps_runs": (_INT,),
    "mps_linear": (*[_INT] * 4, _AT, _LONG, _LONG, _AT, _LONG, _AT, _LONG, *[_AT] * 5,
                   *[_LONG] * 4, _INT, _AT, _LONG, _AT, _AT),
    "mps_function": (*[_INT] * 3, _AT, *[_LONG] * 2, _LONG, _AT, _AT, _FLOAT, *[_AT] * 5),
    "mps_attention": (_INT, _INT, *[_AT] * 5, _INT, _FLOAT, _INT, _AT, _AT),
    "mps_quantize": (*[_INT] * 4, _AT, _LONG, _AT, _INT, _INT, _AT, _AT, _AT),
    "mps_batched": (*[_INT] * 3, _LONG, _LONG, *_CODES, *_CODES, _AT),
    "mps_levels": (_INT, _INT, _AT, *[_LONG] * 3, _AT, _LONG, _FLOAT, _AT, _LONG, _AT,
                   _LONG, _AT),
    "mps_decode": (_INT, _INT, _AT, _LONG, _LONG, _AT, _AT),
    "mps_depthwise": (_INT, _INT, _AT, _AT, _AT, _INT, _AT),
}


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """*library*, whose functions now know what they take."""
    for name, takes in _SIGNATURES.items():
        getattr(library, name).argtypes = takes
    return library
