"""Benchmarks of environments, stores and decisions, with reference measurements."""
