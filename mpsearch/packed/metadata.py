"""The metadata of the file: text by name, the digest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mpsearch.core.types import Policy
from mpsearch.packed import seal
from mpsearch.packed.manifest import LAYOUT, Manifest, dumped

VERSION, MANIFEST, POLICY = "mpsearch_layout", "mpsearch_manifest", "mpsearch_policy"
_LONG = ("verification", "allocator")
"""What is longest in a policy's provenance, and left out first."""


def metadata_of(policy: Policy, manifest: Manifest) -> dict[str, str]:
    """The metadata, with the digest left blank."""
    return {seal.NAME: seal.BLANK, "format": "pt", VERSION: str(LAYOUT),
            MANIFEST: dumped(manifest), POLICY: dumped(policy)}


def shortened(policy: Policy) -> Iterator[Policy]:
    """*policy* with all of its provenance, then with less and less, and at last with none."""
    kept: dict[str, Any] = dict(policy.provenance)
    yield policy
    for name in _LONG:
        if name in kept:
            del kept[name]
            yield replace(policy, provenance=dict(kept))
    yield replace(policy, provenance={})
