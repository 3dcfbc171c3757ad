"""Find the best mixed-precision policy for a neural network, and run it."""
