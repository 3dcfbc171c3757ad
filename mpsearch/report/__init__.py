"""Floor 3: pictures and tables for people. Only formatting: every number arrives computed."""
