"""Tests of checks."""

AMPLE = 600.0
"""Seconds that a check may take, so that nothing is left out on a busy machine."""
