"""``--data``: samples of one split, cut into batches."""

from __future__ import annotations

from pathlib import Path

import torch

from mpsearch.core.errors import BadInput
from mpsearch.sources.arrays import read_arrays
from mpsearch.sources.batch import Batch, Batches
from mpsearch.sources.division import Split, choose
from mpsearch.sources.folder import list_folder
from mpsearch.sources.function import read_function
from mpsearch.sources.images import read_images
from mpsearch.sources.kinds import data_kind
from mpsearch.sources.preprocess import Preprocessing
from mpsearch.sources.recut import recut
from mpsearch.sources.table import list_table


def load_data(spec: str, preprocessing: Preprocessing, *, split: Split, samples: int,
              batch_size: int, seed: int) -> Batches:
    """At most *samples* samples of *split*, *batch_size* a batch, drawn with *seed*.

    *spec* is a folder of images, a ``.csv`` table of them, an ``.npz`` file of arrays, or a
    function that yields batches. Where the source does not say which samples are for calibration
    and which for evaluation, half of them are for each, the same ones whatever the seed.

    Raises:
        BadInput: the data cannot be found, read or used, with the place and what to do.
    """
    if samples < 1 or batch_size < 1:
        raise BadInput(f"cannot read {samples} samples in batches of {batch_size}: ask for one or "
                       "more of each")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        found, prepared = _read(spec, preprocessing, split=split, samples=samples, seed=seed)
    batches = recut(found, batch_size, where=spec)
    notes = [preprocessing.source_note] if prepared and preprocessing.assumed else []
    size = sum(batch.size for batch in batches)
    if size < samples:
        notes.append(f"{spec} has {size} samples for {split}, fewer than the {samples} asked for")
    return Batches.of(batches, note="; ".join(notes))


def _read(spec: str, preprocessing: Preprocessing, *, split: Split, samples: int,
          seed: int) -> tuple[list[Batch], bool]:
    """The samples, and whether *preprocessing* was applied to them."""
    kind, path = data_kind(spec), Path(spec).expanduser()
    if kind == "function":
        return read_function(spec, split=split, samples=samples, seed=seed), False
    if kind == "arrays":
        batch, prepared = read_arrays(path, preprocessing, split=split, samples=samples, seed=seed)
        return [batch], prepared
    listing = list_table(path) if kind == "table" else list_folder(path)
    chosen = choose(len(listing.files), listing.splits, split=split, samples=samples, seed=seed,
                    where=listing.where)
    return [read_images(listing, chosen, preprocessing)], True
