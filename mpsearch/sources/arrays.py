"""Arrays in an ``.npz`` file: ``x`` and optionally ``y`` and ``split``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batch
from mpsearch.sources.division import Split, choose, read_split
from mpsearch.sources.images import one_thread
from mpsearch.sources.preprocess import Preprocessing

Array = NDArray[Any]
_GREY_NDIM = 3
_IMAGE_NDIM = 4


def read_arrays(path: Path, preprocessing: Preprocessing, *, split: Split, samples: int,
                seed: int) -> tuple[Batch, bool]:
    """Samples of the file at *path* as one batch, and whether *preprocessing* was applied.

    ``x`` (or ``images``) of bytes holds images (N, height, width, channels), which are
    normalised, and resized where the model asks for another size. ``x`` of floats goes to the
    model as it is, in single precision; of integers likewise. ``y`` (or ``labels``) holds one
    integer a sample, ``split`` one word a sample.

    Raises:
        BadInput: not such a file, or arrays that do not fit together.
    """
    arrays = _load(path)
    inputs = _one_of(arrays, ("x", "images"))
    if inputs is None or inputs.ndim == 0 or len(inputs) == 0:
        raise BadInput(f"{path} has no samples: store them as an array named x")
    labels = _labels(path, _one_of(arrays, ("y", "labels")), len(inputs))
    splits = _splits(path, arrays.get("split"), len(inputs))
    chosen = choose(len(inputs), splits, split=split, samples=samples, seed=seed, where=str(path))
    is_image = inputs.dtype == np.uint8
    ready = _images(path, inputs[chosen], preprocessing) if is_image else _plain(
        path, inputs[chosen])
    kept = None if labels is None else torch.from_numpy(labels[chosen].astype(np.int64))
    return Batch(args=(ready,), labels=kept), is_image


def _load(path: Path) -> dict[str, Array]:
    wanted = ("x", "images", "y", "labels", "split")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted if name in archive.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"cannot read {path} as .npz arrays of numbers ({reason}): write it with "
                       "numpy.savez(file, x=..., y=...)") from error


def _one_of(arrays: dict[str, Array], names: tuple[str, ...]) -> Array | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _labels(path: Path, labels: Array | None, total: int) -> Array | None:
    if labels is None:
        return None
    if labels.dtype.kind not in "iu":
        raise BadInput(f"{path} has labels of type {labels.dtype}: store y as integers")
    labels = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(1, 1)
    if labels.shape != (total, 1):
        raise BadInput(f"{path} has {total} samples in x and {labels.size} labels in y: store one "
                       "label for each sample")
    return labels[:, 0]


def _splits(path: Path, splits: Array | None, total: int) -> tuple[Split, ...] | None:
    if splits is None:
        return None
    if splits.shape != (total,) or splits.dtype.kind not in "US":
        raise BadInput(f"{path} has {total} samples in x, but split is not {total} words: store "
                       "one for each sample")
    words = splits.astype(str).tolist()
    return tuple(read_split(word, str(path)) for word in words)


def _plain(path: Path, inputs: Array) -> Tensor:
    if inputs.dtype.kind == "f":
        return torch.from_numpy(inputs.astype(np.float32))
    if inputs.dtype.kind in "iu":
        return torch.from_numpy(inputs.astype(np.int64))
    raise BadInput(f"{path} has inputs of type {inputs.dtype}: store x as bytes (images), floats "
                   "or integers")


def _images(path: Path, images: Array, preprocessing: Preprocessing) -> Tensor:
    """Bytes (N, height, width[, channels]) as floats (N, channels, height, width)."""
    if images.ndim == _GREY_NDIM:
        images = images[..., None]
    channels, *wanted = preprocessing.size
    if images.ndim != _IMAGE_NDIM or images.shape[3] not in (1, channels):
        shape = "x".join(map(str, images.shape[1:]))
        raise BadInput(f"{path} has byte images of {shape}: store x as (samples, height, width, "
                       f"{channels})")
    if images.shape[3] != channels:
        images = np.repeat(images, channels, axis=3)
    if list(images.shape[1:3]) == wanted or preprocessing.assumed:
        return preprocessing.normalise(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())
    return _resized(images, preprocessing)


def _resized(images: Array, preprocessing: Preprocessing) -> Tensor:
    from PIL import Image

    transform = preprocessing.transform()
    flat = images[..., 0] if preprocessing.colours == "L" else images
    with one_thread():
        return torch.stack([transform(Image.fromarray(image)) for image in flat])
