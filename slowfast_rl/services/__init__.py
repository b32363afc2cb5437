"""Planner and executor as processes that communicate only through the feature store."""
