"""ggml's matrix products on the CPU, called in its shared library, where it is found.

ggml has no wheel of its own. Either of these makes it there:

    pip install llama-cpp-python      # from source, with CMAKE_ARGS=-DGGML_OPENMP=OFF
    GGML_LIBRARY=folder of libggml-base.so and libggml-cpu.so

A weight is repeated from 64 rows that ggml quantizes: its searches for scales take minutes for a
large one, and only time is looked at.
"""

import ctypes
import os
from functools import cache, partial
from importlib.util import find_spec
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import torch

# what a type is called, its number in ggml.h, and how many inputs share a scale
TYPES = {"Q2_K": (10, 256), "Q3_K": (11, 256), "Q4_0": (2, 32), "Q4_K": (12, 256),
         "Q5_0": (6, 32), "Q5_K": (13, 256), "Q6_K": (14, 256), "Q8_0": (8, 32)}
BITS = {name: int(name[1]) for name in TYPES}
FLOAT32 = 0
ROWS = 64
NOTES = 1 << 20  # bytes for the graph and what describes its tensors


class _Params(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def folder():
    """Where the library lies, or None."""
    if "GGML_LIBRARY" in os.environ:
        return Path(os.environ["GGML_LIBRARY"])
    spec = find_spec("llama_cpp")
    return Path(spec.origin).parent / "lib" if spec and spec.origin else None


def _function(library, name, *types, result=ctypes.c_void_p):
    found = getattr(library, name)
    found.argtypes, found.restype = types, result
    return found


class Ggml:
    """The few functions that a product needs. Handles are addresses."""

    def __init__(self, place):
        base = ctypes.CDLL(str(place / "libggml-base.so"), ctypes.RTLD_GLOBAL)
        cpu = ctypes.CDLL(str(place / "libggml-cpu.so"))
        at, whole, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t
        self.init = _function(base, "ggml_init", _Params)
        self.free = _function(base, "ggml_free", at, result=None)
        self.tensor = _function(base, "ggml_new_tensor_2d", at, ctypes.c_int, whole, whole)
        self.mul_mat = _function(base, "ggml_mul_mat", at, at, at)
        self.graph = _function(base, "ggml_new_graph", at)
        self.expand = _function(base, "ggml_build_forward_expand", at, at, result=None)
        self.quantize = _function(base, "ggml_quantize_chunk", ctypes.c_int, at, at, whole, whole,
                                  whole, at, result=size)
        self.place = _function(base, "ggml_backend_alloc_ctx_tensors_from_buft", at, at)
        self.drop = _function(base, "ggml_backend_buffer_free", at, result=None)
        self.set = _function(base, "ggml_backend_tensor_set", at, at, size, size, result=None)
        self.get = _function(base, "ggml_backend_tensor_get", at, at, size, size, result=None)
        self.compute = _function(base, "ggml_backend_graph_compute", at, at, result=ctypes.c_int)
        self.supports = _function(base, "ggml_backend_dev_supports_op", at, at,
                                  result=ctypes.c_bool)
        self.plain = _function(cpu, "ggml_backend_cpu_buffer_type")()
        self.backend = _function(cpu, "ggml_backend_cpu_init")()
        _function(cpu, "ggml_backend_cpu_set_n_threads", at, ctypes.c_int, result=None)(
            self.backend, 1)
        registry = _function(cpu, "ggml_backend_cpu_reg")()
        self.device = _function(base, "ggml_backend_reg_dev_get", at, size)(registry, 0)
        extra = _function(base, "ggml_backend_reg_get_proc_address", at, ctypes.c_char_p)(
            registry, b"ggml_backend_dev_get_extra_bufts")
        kinds = ctypes.CFUNCTYPE(ctypes.POINTER(at), at)(extra)(self.device)
        self.repacked = list(takewhile(bool, (kinds[i] for i in count()))) if kinds else []


@cache
def library():
    """ggml, or None where it is not there."""
    place = folder()
    return Ggml(place) if place and (place / "libggml-base.so").exists() else None


class Product:
    """*x* [rows, inputs] times *weight* [outputs, inputs] of a type; call it, then `result`."""

    def __init__(self, x, weight, kind, buffers):
        own, self.shape = library(), (len(x), len(weight))
        number, _ = TYPES[kind]
        inputs = x.shape[1]
        notes = [own.init(_Params(NOTES, None, True)) for _ in range(2)]
        stored = own.tensor(notes[0], number, inputs, len(weight))
        given = own.tensor(notes[1], FLOAT32, inputs, len(x))
        self.out = own.mul_mat(notes[1], stored, given)
        held = [own.place(notes[0], buffers)]
        if not own.supports(own.device, self.out):
            raise LookupError(f"ggml does not repack {kind}")
        held.append(own.place(notes[1], own.plain))
        self.held, self.notes = held, notes
        codes, array = _codes(weight, kind), np.ascontiguousarray(x.numpy())
        own.set(stored, codes.ctypes.data, 0, codes.nbytes)
        own.set(given, array.ctypes.data, 0, array.nbytes)
        self.graph = own.graph(notes[1])
        own.expand(self.graph, self.out)
        self.run = partial(own.compute, own.backend, self.graph)

    def __call__(self):
        return self.run()

    def result(self):
        self.run()
        out = np.empty(self.shape, np.float32)
        library().get(self.out, out.ctypes.data, 0, out.nbytes)
        return torch.from_numpy(out)

    def __del__(self):
        for each in getattr(self, "held", ()):
            library().drop(each)
        for each in getattr(self, "notes", ()):
            library().free(each)


def _codes(weight, kind):
    """*weight* as ggml stores it; only the first rows are quantized, then repeated."""
    number, _ = TYPES[kind]
    first = np.ascontiguousarray(weight[:ROWS].numpy())
    space = np.empty(first.nbytes, np.uint8)
    size = library().quantize(number, first.ctypes.data, space.ctypes.data, 0, *first.shape, None)
    return np.tile(space[:size], -(-len(weight) // ROWS))[: size // len(first) * len(weight)]


def ggml_calls(x, weight, kinds=tuple(TYPES)):
    """A call for each type that a row of *weight* can be stored in, repacked too where it can be.

    Products of weights of more than 64 rows repeat those.
    """
    found, own = {}, library()
    for kind in kinds if own else ():
        if x.shape[1] % TYPES[kind][1]:
            continue
        found[f"ggml {kind}"] = Product(x, weight, kind, own.plain)
        for buffers in own.repacked:
            try:
                found[f"ggml {kind} repacked"] = Product(x, weight, kind, buffers)
            except LookupError:
                continue
    return found
