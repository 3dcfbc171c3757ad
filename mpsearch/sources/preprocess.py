"""How images become the input of a model: plain numbers, from the model's own configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from mpsearch.core.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

_ADVICE = ("the model says nothing about its images, so they are prepared as for ImageNet "
           "({size} pixels, mean {mean}, std {std}); set pretrained_cfg on the model to change it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What is done to an image: resize, crop, scale to [0, 1], subtract *mean*, divide by *std*.

    *size* is (channels, height, width); *crop* is the share of the resized image that the crop
    keeps. *source_note* is empty where the model itself says all this, else what to tell people.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int, int]
    interpolation: str = "bicubic"
    crop: float = 0.875
    crop_mode: str = "center"
    source_note: str = ""

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == self.size[0]:
            raise BadInput(f"the model's image configuration has {len(self.mean)} means and "
                           f"{len(self.std)} deviations for {self.size[0]} channels: correct "
                           "its pretrained_cfg")

    @property
    def assumed(self) -> bool:
        """Whether these are defaults, because the model does not say."""
        return bool(self.source_note)

    @property
    def colours(self) -> str:
        """Pillow's mode of an image with this many channels."""
        return "L" if self.size[0] == 1 else "RGB"

    def transform(self) -> Callable[[Image], Tensor]:
        """The evaluation transform: an image in, a float tensor (channels, height, width) out."""
        from timm.data.transforms_factory import create_transform

        made: Callable[[Image], Tensor] = create_transform(
            self.size, is_training=False, interpolation=self.interpolation, mean=self.mean,
            std=self.std, crop_pct=self.crop, crop_mode=self.crop_mode,
        )
        return made

    def normalise(self, pixels: Tensor) -> Tensor:
        """Bytes (N, channels, height, width) as floats, without resizing."""
        import torch

        shape = (1, len(self.mean), 1, 1)
        mean, std = (torch.tensor(v).reshape(shape) for v in (self.mean, self.std))
        return (pixels.float() / 255 - mean) / std


def preprocessing_of(module: nn.Module) -> Preprocessing:
    """Read the model's timm data configuration, or assume ImageNet's where it has none.

    Raises:
        BadInput: the configuration contradicts itself.
    """
    from timm.data.config import resolve_data_config

    config = getattr(module, "pretrained_cfg", None)
    if not isinstance(config, dict) or not config:
        return _assumed(module)
    resolve: Callable[..., dict[str, Any]] = resolve_data_config
    found = resolve(model=module)
    return Preprocessing(
        mean=tuple(found["mean"]), std=tuple(found["std"]), size=tuple(found["input_size"]),
        interpolation=found["interpolation"], crop=found["crop_pct"],
        crop_mode=found["crop_mode"],
    )


def _assumed(module: nn.Module) -> Preprocessing:
    """ImageNet's numbers, averaged over the colours for a model that reads grey images."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    grey = first is not None and first.in_channels == 1
    mean = (0.449,) if grey else (0.485, 0.456, 0.406)
    std = (0.226,) if grey else (0.229, 0.224, 0.225)
    note = _ADVICE.format(size=224, mean=mean, std=std)
    return Preprocessing(mean=mean, std=std, size=(len(mean), 224, 224), source_note=note)
