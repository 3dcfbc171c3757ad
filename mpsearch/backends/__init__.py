"""Floor 2: ways to run a policy for real."""
