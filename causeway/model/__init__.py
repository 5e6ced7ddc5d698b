"""Describe: matrix, strategies, plan, certificate, guardrails, sequential tests and verdicts, without I/O or clock."""
