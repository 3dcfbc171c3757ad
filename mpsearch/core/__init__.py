"""Floor 0: the types every other room speaks in. No torch and no numpy here."""
