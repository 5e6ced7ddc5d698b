"""Move: walk the plan, watch it, go back, and keep a record of who moved what and why."""
