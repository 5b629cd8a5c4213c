"""Gradient-based Bayesian inference for log densities written as plain Python functions."""
