"""Fake quantization whose products are summed exactly: what integer arithmetic must equal."""
