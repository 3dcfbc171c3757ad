"""Layer-wise relevance propagation: how much of each prediction goes through each layer."""
