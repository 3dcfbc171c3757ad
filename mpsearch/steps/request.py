"""What a user asks for, and the key under which its products are kept. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpsearch.core.errors import BadInput
from mpsearch.core.version import version_of
from mpsearch.packed.manifest import LAYOUT
from mpsearch.sources.identity import identify_data, identify_model
from mpsearch.spaces import load_space
from mpsearch.workspace import digest

DEFAULT_MODEL = "mpsearch.zoo.digits:model"
DEFAULT_DATA = "mpsearch.zoo.digits:data"
DEFAULT_SPACE = "weights_only"
DEFAULT_ESTIMATOR = "kl_probe"
DEFAULT_MEMORY = 2 << 30
DEFAULT_POLICIES = 6
FEWEST_POLICIES = 4  # two parameters, and two residuals to judge them by
_SEEDS = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A model, its data, a search space, and how many samples to use.

    *model* is a timm name, ``package.module:function`` or ``file.py:function``; *weights* a
    safetensors or torch file; *data* an image folder, a CSV, an ``.npz`` or a function, by
    default the embedded digits for the embedded model and nothing for any other. *memory* is how
    many bytes of activations an estimator may hold; it changes no score.

    Raises:
        BadInput: a number of samples that is not positive.
    """

    model: str = DEFAULT_MODEL
    weights: str | None = None
    data: str | None = None
    space: str = DEFAULT_SPACE
    calibration_samples: int = 128
    evaluation_samples: int = 512
    batch_size: int = 32
    seed: int = 0
    memory: int = DEFAULT_MEMORY

    def __post_init__(self) -> None:
        for name in ("calibration_samples", "evaluation_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name.replace('_', ' ')} must be at least 1, not "
                               f"{getattr(self, name)}")
        if self.memory < 1:
            raise BadInput(f"the memory for activations must be positive, not {self.memory} bytes")
        if not 0 <= self.seed < _SEEDS:
            raise BadInput(f"the seed must be from 0 to {_SEEDS - 1}, not {self.seed}")

    @property
    def data_spec(self) -> str | None:
        """The data asked for, or what belongs to the embedded model."""
        return self.data or (DEFAULT_DATA if self.model == DEFAULT_MODEL else None)

    def model_key(self) -> str:
        """Digest of what the model's name, file and weights hold now."""
        return identify_model(self.model, self.weights)

    def data_key(self) -> str:
        """Digest of what the data's name points to now; empty without data."""
        return identify_data(self.data_spec) if self.data_spec else ""

    def study_key(self) -> str:
        """Key of everything that is measured for this request, but for the estimator."""
        return digest({"model": self.model_key(), "data": self.data_key(),
                       "settings": self.settings()})

    def settings(self) -> dict[str, Any]:
        """What else decides a measurement: the space, the sampling, and the versions at work."""
        return {"space": load_space(self.space).digest, "layout": LAYOUT,
                "batch_size": self.batch_size, "calibration_samples": self.calibration_samples,
                "seed": self.seed,
                "versions": {name: version_of(name) for name in ("mpsearch", "torch")}}

    def evaluation_key(self, study: str) -> str:
        """Key of the held-out data of this request, within *study*."""
        return digest({"study": study, "samples": self.evaluation_samples})


def require_policies(policies: int) -> None:
    """Check how many policies a correction from score to loss is to be fitted on.

    Raises:
        BadInput: too few to fit on, and not none.
    """
    if policies and policies < FEWEST_POLICIES:
        raise BadInput(f"a correction is fitted on at least {FEWEST_POLICIES} policies, not "
                       f"{policies}: ask for more, or for 0 to do without")
