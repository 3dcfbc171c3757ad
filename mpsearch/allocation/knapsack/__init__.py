"""The multiple-choice knapsack on dense tables: prices, bounds, a small core, exact completion."""
