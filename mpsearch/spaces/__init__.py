"""Search spaces: TOML rules in, the layers of a model and their candidate schemes out."""

from mpsearch.spaces.read import load_space
from mpsearch.spaces.resolve import resolve
from mpsearch.spaces.rules import Rule, Space
from mpsearch.spaces.shipped import shipped

__all__ = ["Rule", "Space", "load_space", "resolve", "shipped"]
