"""Warmup: step size, mass matrix and their schedule."""
