"""Fake quantization of layers: what both the estimators and the simulated backend apply."""
