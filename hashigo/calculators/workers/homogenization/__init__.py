"""FFT homogenisation of periodic microstructures."""
