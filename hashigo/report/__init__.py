"""Figures and the single-file HTML page."""
