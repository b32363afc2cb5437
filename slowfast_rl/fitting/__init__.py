"""Fit a world's parameters to a company's weekly log."""
