"""What a scheme costs: a function from a search space to a table, one file each."""
