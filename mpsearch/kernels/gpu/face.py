"""What the operators call on a GPU, under the names that `mpsearch.kernels.reference` has."""

from mpsearch.kernels.gpu.batched import batched, batched_sums
from mpsearch.kernels.gpu.depthwise import depthwise
from mpsearch.kernels.gpu.linear import linear, linear_sums
from mpsearch.kernels.gpu.quantize import quantize

__all__ = ["batched", "batched_sums", "depthwise", "linear", "linear_sums", "quantize"]
