"""Planner and executor as processes that speak only through the feature store."""
