"""``--model`` and ``--weights``: a module ready to be measured."""

from __future__ import annotations

import contextlib
import difflib
import sys
from dataclasses import dataclass

import torch
from torch import nn

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.sources.hub import cache_only, cache_only_if_unreachable
from mpsearch.sources.load_function import describe, load_function
from mpsearch.sources.names import HUB_PREFIXES, is_timm_name
from mpsearch.sources.preprocess import Preprocessing, preprocessing_of
from mpsearch.sources.weights import check_finite, load_weights

_SEED = 0
_RANDOM = "timm has no pretrained weights for {name}, so they are random: pass --weights FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A frozen module in evaluation mode, where it came from, and how it wants its images."""

    module: nn.Module
    source: str
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()


def load_model(spec: str, weights: str | None = None) -> LoadedModel:
    """Build the model that *spec* names and give it the weights of the file, if one is named.

    *spec* is a timm name (``hf-hub:`` included), ``package.module:function`` or
    ``path/file.py:function``. A timm model without *weights* gets its pretrained ones. Whatever
    is initialised at random is the same every time.

    Raises:
        BadInput: nothing answers to the name, the function fails or gives no module, the weights
            cannot be fetched, read or fitted, or they are not all finite.
    """
    module, notes = _built(spec, pretrained=weights is None)
    if weights is not None:
        load_weights(module, weights)
    check_finite(module, weights or spec)
    module.eval().requires_grad_(requires_grad=False)
    return LoadedModel(module=module, source=spec, preprocessing=preprocessing_of(module),
                       notes=notes)


def build_model(spec: str) -> LoadedModel:
    """The model that *spec* names with whatever weights it has: nothing is fetched or checked.

    Raises:
        BadInput: nothing answers to the name, or the function fails or gives no module.
    """
    with cache_only():
        module, _ = _built(spec, pretrained=False)
    module.eval().requires_grad_(requires_grad=False)
    return LoadedModel(module=module, source=spec, preprocessing=preprocessing_of(module))


def _built(spec: str, *, pretrained: bool) -> tuple[nn.Module, tuple[str, ...]]:
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(_SEED)
        if is_timm_name(spec):
            return _from_timm(spec, pretrained=pretrained)
        return _from_function(spec), ()


def _from_function(spec: str) -> nn.Module:
    made = load_function(spec).call(lambda result: result)
    if not isinstance(made, nn.Module):
        raise BadInput(f"{spec} returned a {type(made).__name__}, not a torch.nn.Module: return "
                       "the model itself")
    return made


def _from_timm(name: str, *, pretrained: bool) -> tuple[nn.Module, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if not name.startswith(HUB_PREFIXES):
        _check_known(name)
        if pretrained and not _has_pretrained(name):
            pretrained = False
            notes = (_RANDOM.format(name=name),)
    return _create(name, pretrained=pretrained), notes


def _create(name: str, *, pretrained: bool) -> nn.Module:
    import timm

    try:
        with contextlib.redirect_stdout(sys.stderr), cache_only_if_unreachable():
            module: nn.Module = timm.create_model(name, pretrained=pretrained)
    except Exception as error:
        where = " from the model hub" if pretrained or name.startswith(HUB_PREFIXES) else ""
        advice = "pass --weights FILE" if pretrained else "name another model"
        raise BadInput(f"cannot get {name}{where} ({describe(error)}): check the name and the "
                       f"network, or {advice}") from error
    return module


def _check_known(name: str) -> None:
    """Raise for a name, or a tag after the dot, that timm does not know; suggest near ones."""
    import timm

    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        close = difflib.get_close_matches(base, timm.list_models(), n=4, cutoff=0.6)
        if close:
            raise UnknownName("timm model", name, close)
        raise BadInput(f"unknown timm model '{name}': give a timm model name, "
                       "package.module:function or path/file.py:function")
    known = timm.list_pretrained(base)
    if tag and name not in known:
        raise UnknownName("timm model", name, known or [base])


def _has_pretrained(name: str) -> bool:
    import timm

    return bool(timm.list_pretrained(name.partition(".")[0]))
