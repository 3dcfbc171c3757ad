"""ONNX Runtime's layers, each as a call without arguments."""

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from peer_codes import block_of, few_codes, in_bytes


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


def dynamic_int8(model, reduce_range=False):
    """*model* (a file) as dynamic quantization makes it, in a file beside it.

    With *reduce_range* weights get 7 bits: the library's own remedy where sums saturate.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = str(model) + ".int8.onnx"
    quantize_dynamic(str(model), made, per_channel=True, weight_type=QuantType.QInt8,
                     reduce_range=reduce_range)
    return made


def float_graph(x, weight):
    from onnx import helper, numpy_helper

    return _graph([helper.make_node("MatMul", ["x", "w"], ["y"])],
                  [numpy_helper.from_array(np.ascontiguousarray(weight.T.numpy()), "w")], x,
                  len(weight))


def _nbits_graph(x, weight, bits):
    """MatMulNBits that may quantize its input to bytes (accuracy level 4)."""
    from onnx import helper, numpy_helper

    outputs, inputs = weight.shape
    codes, scales = few_codes(weight, bits)
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft",
                            K=inputs, N=outputs, bits=bits, block_size=block_of(inputs),
                            accuracy_level=4)
    return _graph([node], [numpy_helper.from_array(in_bytes(codes, bits), "w"),
                           numpy_helper.from_array(scales.reshape(-1), "s")], x, outputs)


def _model(x, weight, kind, folder):
    if kind.startswith("W"):
        return _nbits_graph(x, weight, int(kind[1:])).SerializeToString()
    model = float_graph(x, weight).SerializeToString()
    if kind == "fp32":
        return model
    file = Path(folder) / "layer.onnx"
    file.write_bytes(model)
    return dynamic_int8(file, reduce_range=kind == "int8, 7-bit weights")


def ort_calls(x, weight, kinds=("fp32", "int8", "W2", "W4", "W8")):
    """float32, dynamic int8, and MatMulNBits with codes of few bits."""
    if not (find_spec("onnxruntime") and find_spec("onnx")):
        return {}
    feed, found = {"x": x.numpy()}, {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            try:
                call = partial(session(_model(x, weight, kind, folder)).run, None, feed)
                call()
            except Exception as problem:  # noqa: BLE001 - whatever it lacks, it is not there
                print(f"ORT {kind} does not run: {str(problem).splitlines()[0]}")
                continue
            found[f"ORT {kind}"] = call
    return found
