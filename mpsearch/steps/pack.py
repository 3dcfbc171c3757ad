"""Write a policy with its model as one packed file."""

from __future__ import annotations

import os
from dataclasses import replace

from torch import Tensor

from mpsearch.core.types import LayerSpec, Policy, Totals, unique_weights
from mpsearch.cost.bops import bit_operations
from mpsearch.cost.size import stored_bits
from mpsearch.packed.contents import constants_digest, contents_of
from mpsearch.packed.writing import Written, write_packed
from mpsearch.steps.run import check_fits
from mpsearch.steps.session import Session


def pack(policy: Policy, session: Session, path: str | os.PathLike[str],
         example: tuple[Tensor, ...] | None = None) -> Written:
    """Write the session's model under *policy* to *path*; see `mpsearch.pack`."""
    captured = session.captured_on(example)
    check_fits(policy, captured)
    found = captured.storable(session.loaded.module)
    exact = replace(policy, totals=_recounted(policy, captured.layers.specs))
    stored = {*found.weights, *found.others, *found.aliases}
    return write_packed(path, contents_of(exact, found, captured.fake, captured.inputs,
                                          constants_digest(captured.program, stored)))


def _recounted(policy: Policy, layers: tuple[LayerSpec, ...]) -> Totals:
    """The policy's totals, and where its layers were changed after they were counted, new ones.

    Then the stated size of the file is none, and the file takes what it needs.
    """
    size = sum(stored_bits(each, policy.layers[each.name]) for each in unique_weights(layers))
    weights = sum(each.weights for each in unique_weights(layers))
    if (size, weights) == (policy.totals.size_bits, policy.totals.weights):
        return policy.totals
    return replace(policy.totals, weights=weights, size_bits=size, file_bytes=0,
                   bits_per_weight=size / weights if weights else 0.0,
                   bops=sum(bit_operations(each, policy.layers[each.name]) for each in layers))
