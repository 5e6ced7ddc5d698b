"""A stack's config: read, validated, and turned into frozen records."""

from causeway.config.load import PLAN, from_file, from_values, keys, stack_file
from causeway.config.records import Config

__all__ = ["PLAN", "Config", "from_file", "from_values", "keys", "stack_file"]
