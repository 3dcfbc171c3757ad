"""``--weights``: read a state dict without running code from the file, and fit it to a module."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpsearch.core.errors import BadInput
from mpsearch.sources.load_function import describe

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")
_SHOWN = 3


def load_weights(module: nn.Module, path: str) -> None:
    """Copy the weights in *path* into *module*, every one of them.

    Raises:
        BadInput: the file is missing, damaged, or would run code; or its names and shapes are not
            the module's.
    """
    state = _strip(_unwrap(_read(Path(path).expanduser()), path), module)
    own = module.state_dict()
    wrong = [f"{name} is {_shape(value)} in the file and {_shape(own[name])} in the model"
             for name, value in state.items() if name in own and own[name].shape != value.shape]
    if wrong:
        raise BadInput(f"{path} does not fit the model: {_first(wrong, 'other shapes')}: "
                       "use the model that these weights were saved from")
    try:
        keys = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise BadInput(f"{path} does not fit the model ({describe(error)}): use the model that "
                       "these weights were saved from") from error
    missing = _truly_missing(module, keys.missing_keys)
    parts = [_first(names, what) for names, what in
             ((missing, "missing"), (keys.unexpected_keys, "unexpected")) if names]
    if parts:
        raise BadInput(f"{path} does not fit the model: {'; '.join(parts)}: use the model that "
                       "these weights were saved from")


def check_finite(module: nn.Module, where: str) -> None:
    """Raise BadInput, naming the first one, if a parameter is not finite or a buffer is NaN."""
    wrong = [name for name, value in module.named_parameters() if not _finite(value)]
    # A buffer may hold an infinity on purpose: masks of attention do.
    wrong += [name for name, value in module.named_buffers()
              if value.is_floating_point() and bool(value.isnan().any())]
    if wrong:
        raise BadInput(f"{where} has weights that are NaN or infinite: {_first(wrong, 'tensors')}: "
                       "use another checkpoint")


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _read(path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"no such weights file: {path}: check --weights")
    if path.suffix not in SUFFIXES:
        raise BadInput(f"cannot tell what {path} is: weights end in {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():  # torch warns of pickles that it goes on to refuse
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path} holds more than tensors, and loading it could run code: convert "
                       "its state dict to .safetensors first") from error
    except Exception as error:
        raise BadInput(f"cannot read {path}: it is damaged or of another kind "
                       f"({describe(error)}): download or save it again") from error


def _unwrap(content: Any, path: str) -> dict[str, Tensor]:
    """The state dict inside the usual wrappers of training scripts."""
    for _ in _WRAPPERS:
        inner = [content[key] for key in _WRAPPERS
                 if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise BadInput(f"{path} is not a state dict: save model.state_dict(), names to tensors")
    if not content:
        raise BadInput(f"{path} has no weights in it: save model.state_dict() again")
    return dict(content)


def _strip(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Drop a prefix that a wrapper of the model put before every name, but the model has not."""
    own = module.state_dict()
    for prefix in _PREFIXES:
        wrapped = all(name.startswith(prefix) for name in state)
        if wrapped and not any(name in own for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _truly_missing(module: nn.Module, names: Sequence[str]) -> list[str]:
    """Leave out names of tied tensors stored under another name, and counters nothing reads."""
    own = module.state_dict(keep_vars=True)
    loaded = {id(value) for name, value in own.items() if name not in set(names)}
    return [name for name in names
            if id(own.get(name)) not in loaded and not name.endswith("num_batches_tracked")]


def _first(items: Sequence[str], what: str) -> str:
    shown = ", ".join(items[:_SHOWN])
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{len(items)} {what} ({shown}{more})"


def _shape(value: Tensor) -> str:
    return "x".join(str(size) for size in value.shape) or "scalar"
