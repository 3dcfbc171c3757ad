"""Train the reference model: ``python -m mpsearch.zoo.train [--output FILE]``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mpsearch.core import io
from mpsearch.zoo import digits

EPOCHS = 80
_BATCH = 64
_PEAK_RATE = 3e-3
_WEIGHT_DECAY = 0.05
_CLIP = 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, report, and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m mpsearch.zoo.train", description=__doc__)
    parser.add_argument("--output", default=str(digits.WEIGHTS), help="file to write")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    network = train(epochs=options.epochs, seed=options.seed, tell=_tell)
    io.write(options.output, encode(network))
    _tell(f"wrote {options.output}: test top-1 {100 * accuracy(network):.2f} %")


def train(*, epochs: int, seed: int, tell: Callable[[str], None]) -> nn.Module:
    """Train on the training portion with AdamW, one cosine cycle, and shifted images.

    The last state is kept whatever it scores: choosing by the test portion would use it up.
    """
    with torch.random.fork_rng(devices=()), _one_thread():
        torch.manual_seed(seed)
        network = digits.architecture().train()
        images, labels = digits.portion("train")
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=_WEIGHT_DECAY)
        steps = epochs * -(-len(labels) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=steps,
                                                       pct_start=0.15)
        for epoch in range(epochs):
            losses = []
            for rows in torch.split(torch.randperm(len(labels)), _BATCH):
                loss = functional.cross_entropy(network(_augmented(images[rows])), labels[rows])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            tell(f"epoch {epoch + 1}/{epochs}: loss {sum(losses) / len(losses):.4f}")
    return network.eval()


def accuracy(network: nn.Module, name: str = "test") -> float:
    """Share of correct top-1 answers on a portion of the digits."""
    images, labels = digits.portion(name)
    with torch.no_grad():
        return float((network(images).argmax(1) == labels).double().mean())


def encode(network: nn.Module) -> bytes:
    """The state dict as the bytes of a safetensors file."""
    from safetensors.torch import save

    content: bytes = save(network.state_dict())
    return content


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Take sums in one order, however many cores the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _augmented(images: Tensor) -> Tensor:
    """Rotate, scale, shear and shift each image a little, as handwriting does."""
    jitter = torch.randn(len(images), 2, 3) * torch.tensor([0.06, 0.06, 0.12])
    grid = functional.affine_grid(torch.eye(2, 3) + jitter, list(images.shape),
                                  align_corners=False)
    return functional.grid_sample(images + 1, grid, align_corners=False) - 1


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
