"""OpenVINO's layers, each as a call without arguments, where it is installed."""

from importlib.util import find_spec

import numpy as np
from peer_codes import few_codes, in_bytes


def compiled(model):
    """*model* (a file, bytes or a model) on one thread in float32, as a function of an array."""
    import openvino

    core = openvino.Core()
    read = model if isinstance(model, openvino.Model) else core.read_model(model)
    made = core.compile_model(read, "CPU", {
        "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    request = made.create_infer_request()
    return lambda x: request.infer({0: x}, share_inputs=True, share_outputs=True)


def _float(op, x, weight, given):
    return op.matmul(given, op.constant(weight.numpy()), False, True)


def _int8(op, x, weight, given):
    """Both sides in bytes: the range of the input is fixed, as calibration would leave it."""
    low, high = (np.float32(each) for each in (x.min(), x.max()))
    top = weight.abs().amax(1, keepdim=True).clamp(min=1e-6).numpy()
    return op.matmul(op.fake_quantize(given, low, high, low, high, 256),
                     op.fake_quantize(op.constant(weight.numpy()), -top, top, -top, top, 255),
                     False, True)


def _few(bits):
    """Weights in codes with a scale for every block, as its compression of weights stores them."""
    def product(op, x, weight, given):
        import openvino

        codes, scales = few_codes(weight, bits)
        if bits == 2:
            kind, stored, less = openvino.Type.u2, in_bytes(codes, bits), np.float32(2)
        else:
            kind = {4: openvino.Type.i4, 8: openvino.Type.i8}[bits]
            stored, less = in_bytes(codes ^ np.uint8(1 << (bits - 1)), bits), None
        tensor = openvino.Tensor(kind, list(codes.shape))
        tensor.data.view(np.uint8).reshape(-1)[:] = stored.reshape(-1)
        wide = op.convert(openvino.op.Constant(tensor), openvino.Type.f32)
        if less is not None:
            wide = op.subtract(wide, op.constant(np.full_like(scales, less)))
        wide = op.multiply(wide, op.constant(scales))
        shape = op.constant(np.array(weight.shape, np.int64))
        return op.matmul(given, op.reshape(wide, shape, False), False, True)
    return product


KINDS = {"fp32": _float, "int8": _int8, "W2": _few(2), "W4": _few(4), "W8": _few(8)}


def openvino_calls(x, weight, kinds=tuple(KINDS)):
    """float32, int8 on both sides, and weights alone in codes of few bits."""
    if not find_spec("openvino"):
        return {}
    import openvino
    from openvino import opset13 as op

    found, array = {}, x.numpy()
    for kind in kinds:
        given = op.parameter(list(x.shape), openvino.Type.f32)
        run = compiled(openvino.Model([KINDS[kind](op, x, weight, given)], [given], "layer"))
        found[f"OpenVINO {kind}"] = lambda run=run: run(array)
    return found
