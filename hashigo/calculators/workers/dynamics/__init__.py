"""Molecular dynamics with any model: trajectories, their files, and what is averaged over them."""
