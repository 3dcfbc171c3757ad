"""Captures shared by tests: many build the same small network, and exporting it takes longest.

The graph of a network is that of any other with the same structure: the same modules with the same
settings, and tensors of the same names, shapes and types. Only what such a graph is made of is
kept; a copy of it gets the tensors of the network at hand. What cannot be told apart for sure is
exported anew.
"""

from __future__ import annotations

import copy
import types
from itertools import chain

import torch
from torch import nn

_ATOMS = (bool, int, str, bytes, float, complex, types.NoneType, torch.dtype, torch.device,
          torch.Size, torch.memory_format, torch.layout)
_CODE = (type, types.FunctionType, types.BuiltinFunctionType)
_TABLES = {"_parameters", "_buffers", "_modules"}


class Unclear(Exception):
    """Something that may change the graph, and that is not understood here."""


class Captures:
    """Does what *export* does, once for each structure."""

    def __init__(self, export):
        self._export, self._kept = export, {}

    def __call__(self, model, args):
        """A graph for *model* and whether it takes any number of samples."""
        try:
            key = (_structure(model), torch.get_default_dtype(), *map(_tensor, args))
        except Unclear:
            return self._export(model, args)
        if key in self._kept:
            return self._copied(self._kept[key], _tensors(model))
        try:
            program, any_batch = self._export(model, args)
        except Exception as error:
            self._kept[key] = error
            raise
        own = _tensors(model)
        found = {id(each) for each in chain(program.parameters(), program.buffers())}
        if found <= {id(each) for each in own.values()}:
            self._kept[key] = (*_hollow(program, own), any_batch)
        return program, any_batch

    @staticmethod
    def _copied(kept, own):
        if isinstance(kept, Exception):
            raise kept.with_traceback(None)
        program, names, any_batch = kept
        return copy.deepcopy(program, {id(hollow): own[name]
                                       for name, hollow in names.items()}), any_batch


def _hollow(program, own):
    """A copy of *program* without its numbers, which may be large; its tensors by name."""
    by_id = {id(tensor): (name, tensor) for name, tensor in own.items()}
    names = {name: (nn.Parameter(tensor.to("meta"), requires_grad=tensor.requires_grad)
                    if isinstance(tensor, nn.Parameter) else tensor.to("meta"))
             for name, tensor in by_id.values()}
    memo = {each: names[name] for each, (name, _) in by_id.items()}
    return copy.deepcopy(program, memo), names


def _tensors(model):
    return dict(chain(model.named_parameters(remove_duplicate=False),
                      model.named_buffers(remove_duplicate=False)))


def _structure(model):
    first = {}
    tensors = tuple((name, first.setdefault(id(each), name), _tensor(each))
                    for name, each in _tensors(model).items())
    modules = tuple((path, type(part), tuple(_plain(
        {name: each for name, each in vars(part).items() if name not in _TABLES})))
        for path, part in model.named_modules(remove_duplicate=False))
    return tensors, modules


def _tensor(each):
    if type(each) not in {torch.Tensor, nn.Parameter}:
        raise Unclear
    return (tuple(each.shape), each.dtype, each.device, each.stride(), each.requires_grad,
            type(each))


def _plain(value):
    """*value* as something that is equal only for equal ones."""
    if isinstance(value, _ATOMS):
        return type(value), repr(value)
    if type(value) in _CODE:
        return value
    if isinstance(value, dict):
        return type(value), tuple((_plain(k), _plain(v)) for k, v in value.items())
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(_plain, value))
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_plain, value))
    raise Unclear
