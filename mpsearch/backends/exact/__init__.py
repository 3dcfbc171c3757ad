"""Fake quantization whose products are summed exactly: what integer arithmetic must equal.

GELU, layer norm and softmax on the way to codes are the functions of `mpsearch.kernels.functions`.
"""
