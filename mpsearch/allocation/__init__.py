"""Choosing a scheme for every group within budgets: numbers in, one index a group out."""
