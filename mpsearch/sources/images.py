"""Image files to one batch of tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batch
from mpsearch.sources.listing import Listing
from mpsearch.sources.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image


def read_images(listing: Listing, chosen: list[int], preprocessing: Preprocessing) -> Batch:
    """The *chosen* images, (N, channels, height, width) as the model wants them, with labels.

    Raises:
        BadInput: a file that is no readable image.
    """
    transform = preprocessing.transform()
    with one_thread():
        pixels = [transform(_open(listing.files[index], preprocessing.colours)) for index in chosen]
    labels: Tensor | None = None
    if listing.labels is not None:
        labels = torch.tensor([listing.labels[index] for index in chosen], dtype=torch.int64)
    return Batch(args=(torch.stack(pixels),), labels=labels)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch from sharing out work on one image: waiting for other cores takes longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _open(path: Path, colours: str) -> Image:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert(colours)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path} is not a readable image: replace it, or take it out of the "
                       "data") from error
