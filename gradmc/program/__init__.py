"""Declarations and the loop compiler: from a plain Python function to JAX."""
