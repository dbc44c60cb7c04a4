"""Solvers behind the interface of periodic problems: ours, and others as second implementations for cross-checks."""
