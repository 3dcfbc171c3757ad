"""A front like that of a small vision model."""

import math

import pytest

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Evaluation, Scheme
from mpsearch.report.front import Front, FrontPoint, LayerBits, MeasuredPoint

NAMES = ("patch", *(f"blocks.{i}.{part}" for i in range(2) for part in ("qkv", "fc1")), "head")


def evaluation(kl):
    return Evaluation(samples=500, kl=kl, kl_stderr=kl / 10, agreement=0.9, agreement_stderr=0.01,
                      top1=0.8, top1_stderr=0.02, float_top1=0.82)


def point(label, bits, kl, kind, predicted=None):
    return MeasuredPoint(label=label, bits_per_weight=bits, file_bytes=round(1e5 * bits),
                         predicted_loss=predicted, evaluation=evaluation(kl), kind=kind)


@pytest.fixture(scope="session")
def front():
    losses = {bits: math.exp(4 - 2 * bits) for bits in (2.5, 3.0, 3.5, 4.0, 4.5)}
    allocated = [point(f"{b}bpw", b, loss, "allocated", loss / 2) for b, loss in losses.items()]
    uniform = [point(f"W{b}", b + 0.1, 2 * math.exp(4 - 2 * b), "uniform") for b in (3, 4)]
    schemes = {name: Scheme(weight=IntFormat(bits=2 + i)) for i, name in enumerate(NAMES)}
    return Front(
        model="here.model:make", estimator="kl_probe", space="weights", unit="nats",
        predicted=tuple(FrontPoint(bits_per_weight=b, size_bits=1, file_bytes=2,
                                   predicted_loss=loss / 2) for b, loss in losses.items()),
        measured=(*allocated, *uniform), layers=LayerBits.of({"4.5bpw": schemes}, NAMES),
        chosen="4.5bpw")
