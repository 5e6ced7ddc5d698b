"""Observe: read metrics and probes, keep baselines, report trends. It decides nothing about what it finds."""
