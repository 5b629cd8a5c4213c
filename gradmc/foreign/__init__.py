"""Densities that do not come from a gradmc program: a JAX function, or a numpyro model."""

from gradmc.foreign.function import FunctionDensity, from_logdensity
from gradmc.foreign.numpyro_model import NumpyroDensity, from_numpyro

__all__ = ["FunctionDensity", "NumpyroDensity", "from_logdensity", "from_numpyro"]
