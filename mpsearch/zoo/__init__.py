"""The reference model that ships with the package: a small network, its data, its training."""
