"""Rounding to integers and to levels in one visit to each number, without codes in between."""
