"""Simulation-based calibration: do program, simulator and sampler agree?"""

from gradmc.calibration.calibrate import Calibration, calibrate
from gradmc.calibration.uniformity import Bands, Uniformity

__all__ = ["Bands", "Calibration", "Uniformity", "calibrate"]
