"""Search spaces: TOML rules in; `resolve` makes of them a model's layers and their schemes."""

from mpsearch.spaces.read import load_space
from mpsearch.spaces.rules import Rule, Space
from mpsearch.spaces.shipped import shipped

__all__ = ["Rule", "Space", "load_space", "shipped"]
