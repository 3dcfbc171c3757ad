"""Quantizers: real numbers to integer codes and back, one definition for every backend."""
