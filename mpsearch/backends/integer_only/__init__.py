"""The backend without floating point: integers from the quantized input to the logits."""
