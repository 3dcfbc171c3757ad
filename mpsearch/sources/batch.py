"""Batches of model arguments and labels, in memory, with a digest of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The arguments of one call of the model, samples first, and what is known about the samples.

    *labels* has one class a sample; *segments* the number of the segment each sample belongs to
    (a range of denoising timesteps, say); *tokens* the group of every token of every sample.
    """

    args: tuple[Tensor, ...]
    labels: Tensor | None = None
    segments: Tensor | None = None
    tokens: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.args[0])

    @property
    def tensors(self) -> Iterator[Tensor]:
        """The arguments, then what is known about the samples."""
        yield from self.args
        yield from (each for each in (self.labels, self.segments, self.tokens) if each is not None)

    def rows(self, samples: slice | Tensor) -> Batch:
        """The batch of some of the samples."""
        size = self.size
        parts = {name: value if value is None else value[samples] for name, value in (
            ("labels", self.labels), ("segments", self.segments), ("tokens", self.tokens))}
        return Batch(args=tuple(arg[samples] if arg.dim() and arg.shape[0] == size else arg
                                for arg in self.args), **parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Batches in a fixed order; *note* is what the user should know about how they were made."""

    batches: tuple[Batch, ...]
    digest: str
    note: str = ""

    @classmethod
    def of(cls, batches: Iterable[Batch], *, note: str = "") -> Self:
        """Batches with their digest computed."""
        kept = tuple(batches)
        return cls(batches=kept, digest=_digest(kept), note=note)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def samples(self) -> int:
        """Number of samples in all batches."""
        return sum(batch.size for batch in self.batches)

    @property
    def labelled(self) -> bool:
        """Whether every batch has labels."""
        return bool(self.batches) and all(batch.labels is not None for batch in self.batches)


def check_labels(batches: Batches, classes: int) -> None:
    """Check that every label is one of the model's *classes* outputs.

    Raises:
        BadInput: a label below zero, or not below *classes*.
    """
    for batch in batches:
        if batch.labels is None:
            continue
        wrong = batch.labels[(batch.labels < 0) | (batch.labels >= classes)]
        if wrong.numel():
            raise BadInput(f"label {int(wrong.flatten()[0])} does not fit a model with {classes} "
                           f"classes (0 to {classes - 1}): check the data's labels")


def _digest(batches: tuple[Batch, ...]) -> str:
    """SHA-256 over the shape, element type and bytes of every tensor, in order."""
    digest = hashlib.sha256()
    for batch in batches:
        # Labels and segments may look alike.
        digest.update("".join(name for name in ("segments", "tokens")
                              if getattr(batch, name) is not None).encode())
        for tensor in batch.tensors:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)};".encode())
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().data)
    return digest.hexdigest()
