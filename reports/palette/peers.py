"""Our round trips beside those of kept implementations, on the same tensors.

    python -m venv peers && peers/bin/pip install . bitsandbytes torchao optimum-quanto ml_dtypes
    peers/bin/python reports/palette/peers.py > reports/palette/peers.md

For each pair: the largest difference of the values if we take the peer's own scales, as a share of
the largest magnitude, and the relative squared error of both, each with the scales it finds itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

import torch
from torch import Tensor

from mpsearch import plugins
from mpsearch.core.formats import Format, IntFormat
from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.normal_float import NormalFloatFormat
from mpsearch.quantizers.base import Params, fake_quantize

Row = tuple[str, Format, Tensor, Tensor | None, str]
"""Name, our format, the peer's values, its scales [S, 1] (None: no such scales), explanation."""

TIE = ("its scale lets a largest magnitude fall half a step beyond the last positive code: a tie that "
       "the last bit of a division or product decides, one step")
FREE = "same values under the same scales; ours are searched"


def main() -> None:
    """Print the table."""
    torch.manual_seed(0)
    tensors = {"normal": torch.randn(256, 512), "student t, 3 degrees": _student()}
    peers = ("torch", "bitsandbytes", "torchao", "optimum-quanto", "ml_dtypes")
    print("# Beside kept implementations\n")
    print(", ".join(f"{peer} {version(peer)}" for peer in peers) + ". " + " ".join(
        __doc__.split("\n\n")[-1].split()) + "\n")
    print("| peer | our format | tensor | difference | peer's error | our error | why |")
    print("|---|---|---|---|---|---|---|")
    for peer in (_bitsandbytes, _torchao_linear, _torchao_blocks, _quanto, _ml_dtypes):
        for label, x in tensors.items():
            _print_rows(peer, label, x)


def _student() -> Tensor:
    return torch.distributions.StudentT(3.0).sample((256, 512))


def _print_rows(peer: Callable[[Tensor], Iterator[Row]], label: str, x: Tensor) -> None:
    try:
        for name, fmt, theirs, scale, why in peer(x):
            own = _error(x, _ours(x, fmt))
            same = "-" if scale is None else f"{_difference(x, fmt, theirs, scale):.1e}"
            print(f"| {name} | {fmt} | {label} | {same} | {_error(x, theirs):.3e} | "
                  f"{own:.3e} | {why} |")
    except Exception as error:  # noqa: BLE001 - a peer may fail in any way
        print(f"| {peer.__name__.strip('_')} | | {label} | | | | not run: {error} |")


def _ours(x: Tensor, fmt: Format) -> Tensor:
    quantizer = plugins.load("quantizer", fmt.kind)()
    return fake_quantize(quantizer, x, quantizer.fit(x, [fmt])[0], fmt)


def _difference(x: Tensor, fmt: Format, theirs: Tensor, scale: Tensor) -> float:
    scale = scale.float().reshape(-1, 1)
    params = Params(scale=scale, zero_point=torch.zeros_like(scale, dtype=torch.int32))
    ours = fake_quantize(plugins.load("quantizer", fmt.kind)(), x, params, fmt)
    return float((ours - theirs).abs().max() / x.abs().max())


def _error(x: Tensor, y: Tensor) -> float:
    return float((x - y.float()).square().sum() / x.square().sum())


def _bitsandbytes(x: Tensor) -> Iterator[Row]:
    from bitsandbytes import functional

    codes, reach, _ = functional.int8_vectorwise_quant(x.half())
    yield ("bitsandbytes int8", IntFormat(bits=8), codes * (reach / 127)[:, None], reach / 127,
           "it sees fp16 numbers, so that ties and near-ties fall otherwise: one step")
    for kind, fmt, why in (
            ("nf4", NormalFloatFormat(bits=4), FREE),
            ("fp4", FloatFormat(bits=4, exponent=2, granularity="group:64"),
             "its fp4 has 0.0052 of the largest number where E2M1 has 0.083")):
        packed, state = functional.quantize_4bit(x, blocksize=64, quant_type=kind)
        scale = state.absmax / (6 if kind == "fp4" else 1)
        yield f"bitsandbytes {kind}", fmt, functional.dequantize_4bit(packed, state), scale, why


def _torchao_linear(x: Tensor) -> Iterator[Row]:
    from torchao import quantization as ao
    from torchao.quantization.granularity import PerGroup

    int4 = ao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32))
    for name, config, fmt in (
            ("int8", ao.Int8WeightOnlyConfig(), IntFormat(bits=8)),
            ("int4, groups of 32", int4, IntFormat(bits=4, granularity="group:32")),
            ("float8", ao.Float8WeightOnlyConfig(), FloatFormat(bits=8, exponent=4))):
        layer = torch.nn.Sequential(torch.nn.Linear(x.shape[1], x.shape[0], bias=False))
        layer[0].weight.data.copy_(x)
        ao.quantize_(layer, config)
        weight = layer[0].weight
        yield (f"torchao {name}", fmt, weight.dequantize(), weight.scale,
               TIE if fmt.kind == "int" else FREE)


def _torchao_blocks(x: Tensor) -> Iterator[Row]:
    from torchao.prototype.mx_formats import mx_tensor, nvfp4_tensor

    for name, bits, exponent in ((torch.float4_e2m1fn_x2, 4, 2), ("fp6_e2m3", 6, 2),
                                 ("fp6_e3m2", 6, 3), (torch.float8_e4m3fn, 8, 4),
                                 (torch.float8_e5m2, 8, 5)):
        packed = mx_tensor.MXTensor.to_mx(x, name, 32)
        fmt = FloatFormat(bits=bits, exponent=exponent, blocks="mx")
        yield (f"torchao MX {str(name).removeprefix('torch.')}", fmt,
               packed.dequantize(torch.float32), packed.scale.float(),
               "same values under the same scales; ours may be twice the floor")
    shared = nvfp4_tensor.per_tensor_amax_to_scale(x.abs().max())
    packed = nvfp4_tensor.NVFP4Tensor.to_nvfp4(x, 16, per_tensor_scale=shared)
    yield ("torchao NVFP4", FloatFormat(bits=4, blocks="nv"), packed.dequantize(torch.float32),
           packed.scale.float() * shared, FREE)


def _quanto(x: Tensor) -> Iterator[Row]:
    from optimum import quanto

    for kind, fmt in ((quanto.qint8, IntFormat(bits=8)),
                      (quanto.qfloat8, FloatFormat(bits=8, exponent=4))):
        scale = quanto.AbsmaxOptimizer()(x, qtype=kind, axis=0)
        weight = quanto.quantize_weight(x, kind, 0, scale, optimized=False)
        yield f"quanto {kind.name}", fmt, weight.dequantize(), scale, FREE
    raise NotImplementedError(
        "qint4 and qint2, whose first use compiles C++ for minutes")


def _ml_dtypes(x: Tensor) -> Iterator[Row]:
    import ml_dtypes

    for name, bits, exponent in (("float4_e2m1fn", 4, 2), ("float6_e2m3fn", 6, 2),
                                 ("float6_e3m2fn", 6, 3), ("float8_e4m3fn", 8, 4),
                                 ("float8_e5m2", 8, 5)):
        kind = getattr(ml_dtypes, name)
        scale = x.abs().amax(1, keepdim=True) / float(ml_dtypes.finfo(kind).max)
        steps = (x / scale).clamp(-float(ml_dtypes.finfo(kind).max),
                                  float(ml_dtypes.finfo(kind).max))
        values = torch.tensor(steps.numpy().astype(kind).astype("float32")) * scale
        yield (f"ml_dtypes {name}", FloatFormat(bits=bits, exponent=exponent), values, scale, FREE)


if __name__ == "__main__":
    main()
