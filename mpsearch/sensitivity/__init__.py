"""Floor 2: how much a model suffers from each scheme of each group of layers."""
