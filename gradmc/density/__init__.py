"""Log densities on a flat unconstrained vector; `gradmc.density.base` says what they can do."""

from gradmc.density.base import Density, Expanded, Part, Precision, Summand, dtype_of
from gradmc.density.program_density import ProgramDensity, density

__all__ = ["Density", "Expanded", "Part", "Precision", "ProgramDensity", "Summand", "density", "dtype_of"]
