"""Harmonic and anharmonic lattice dynamics on top of phonopy, phono3py and symfc."""
