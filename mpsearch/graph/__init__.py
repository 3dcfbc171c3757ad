"""Floor 1: from a module and an example to operations, layers and the groups among them."""
