"""Other libraries' layers, each as a call without arguments; those that are not there are left out.

`pip install onnxruntime onnx openvino` beside this package makes them all there.
"""

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import linear as float_linear

NBITS_BLOCKS = (128, 64, 32)


def there(name):
    return find_spec(name) is not None


def torch_calls(x, weight):
    """float32 by torch's default and by oneDNN, and torch's dynamic int8."""
    found = {"torch fp32": lambda: float_linear(x, weight)}
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    found["oneDNN fp32"] = lambda: torch.ops.mkldnn._linear_pointwise(
        x, packed, None, "none", [], "")
    for engine in ("x86", "onednn"):
        torch.backends.quantized.engine = engine
        top = weight.abs().amax(1).clamp(min=1e-6) / 127
        q = torch.quantize_per_channel(weight, top.double(), torch.zeros(len(weight)).long(), 0,
                                       torch.qint8)
        made = torch.ops.quantized.linear_prepack(q, None)
        found[f"torch int8 {engine}"] = partial(torch.ops.quantized.linear_dynamic, x, made)
    return found


def session(model):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _graph(nodes, initializers, x, outputs):
    from onnx import TensorProto, helper

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(nodes, "layer", [value("x", list(x.shape))],
                              [value("y", [len(x), outputs])], initializers)
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])


def dynamic_int8(model):
    """*model* (a file) as ONNX Runtime's dynamic quantization makes it, in a file beside it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = str(model) + ".int8.onnx"
    quantize_dynamic(str(model), made, per_channel=True, weight_type=QuantType.QInt8)
    return made


def _float_graph(x, weight):
    from onnx import helper, numpy_helper

    return _graph([helper.make_node("MatMul", ["x", "w"], ["y"])],
                  [numpy_helper.from_array(np.ascontiguousarray(weight.T.numpy()), "w")], x,
                  len(weight))


def _nbits_graph(x, weight, bits):
    """Random codes: only their time is looked at."""
    from onnx import helper, numpy_helper

    outputs, inputs = weight.shape
    block = next(each for each in NBITS_BLOCKS if inputs % each == 0)
    blocks = inputs // block
    codes = np.random.default_rng(0).integers(0, 256, (outputs, blocks, block * bits // 8),
                                              dtype=np.uint8)
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft",
                            K=inputs, N=outputs, bits=bits, block_size=block, accuracy_level=4)
    return _graph([node], [numpy_helper.from_array(codes, "w"), numpy_helper.from_array(
        np.ones(outputs * blocks, np.float32), "s")], x, outputs)


def ort_calls(x, weight, kinds=("fp32", "int8", "W4")):
    """ONNX Runtime: float32, dynamic int8, and MatMulNBits with codes of few bits."""
    if not there("onnxruntime"):
        return {}
    feed, found = {"x": x.numpy()}, {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            if kind.startswith("W"):
                model = _nbits_graph(x, weight, int(kind[1:])).SerializeToString()
            else:
                model = _float_graph(x, weight).SerializeToString()
            if kind == "int8":
                file = Path(folder) / "layer.onnx"
                file.write_bytes(model)
                model = dynamic_int8(file)
            try:
                found[f"ORT {kind}"] = partial(session(model).run, None, feed)
                found[f"ORT {kind}"]()
            except Exception as problem:  # noqa: BLE001 - whatever it lacks, it is not there
                found.pop(f"ORT {kind}", None)
                print(f"ORT {kind} does not run: {str(problem).splitlines()[0]}")
    return found


def compiled(model):
    """*model* (a file or bytes) as OpenVINO runs it in float32, as a function of an array."""
    import openvino

    core = openvino.Core()
    made = core.compile_model(core.read_model(model), "CPU", {
        "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    request = made.create_infer_request()
    return lambda x: request.infer({0: x}, share_inputs=True, share_outputs=True)


def openvino_calls(x, weight):
    """OpenVINO in float32."""
    if not (there("openvino") and there("onnx")):
        return {}
    run, array = compiled(_float_graph(x, weight).SerializeToString()), x.numpy()
    return {"OpenVINO fp32": lambda: run(array)}


def is_exact(call_of, inputs=512, outputs=64):
    """Whether int8 sums are right where every code is the largest: all sums are `inputs`."""
    x, weight = torch.ones(8, inputs), torch.ones(outputs, inputs)
    made = call_of(x, weight)()
    found = torch.as_tensor(made[0] if isinstance(made, list) else made)
    return bool(((found - inputs).abs() < inputs / 50).all())
