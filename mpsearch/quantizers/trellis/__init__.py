"""Trellis-coded quantization: codewords, the search for the best path, and the quantizer."""
