"""Move: walk the plan, watch it, go back, and keep a record of who moved what and why."""

import warnings

# Google's libraries announce the end of life of Python versions at every import, years ahead.
warnings.filterwarnings("ignore", category=FutureWarning, message="You are using a Python version")
