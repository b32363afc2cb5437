"""Measurements of a world: its properties and calibration targets."""
