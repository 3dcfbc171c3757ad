"""The integer backend: packed weights, integer sums, and scales only at the end of them."""
