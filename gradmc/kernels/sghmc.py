"""Hamiltonian Monte Carlo with gradients estimated from batches of the data: approximate, for data that are large.

Each leapfrog step sees other rows (`gradmc.density.control_variates`), a transition begins with a new momentum, and its
end is the draw: nothing is rejected, since no step knows the energy (Chen, Fox & Guestrin 2014, 'Stochastic gradient
Hamiltonian Monte Carlo'; here the momentum that is drawn anew takes the place of their friction).  A transition of one
step is Langevin dynamics (SGLD: Welling & Teh 2011).

How far the draws are off is known where the posterior is normal.  With step size e and whitened gradients whose noise
has the variance V in each coordinate, the leapfrog step makes a variance too large by e^2 / (4 - e^2) of it (Neal 2011,
section 5.2), and the noise by

    e V E[t/2 - sin(2t)/4] / E[sin(t)^2]

for trajectories of time t: each step adds a kick of variance e^2 V to the momentum, of which sin(t - s)^2 has come to
the position a time t - s later, and a transition forgets the share sin(t)^2 of the variance before.
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gradmc.kernels.hmc import Hmc
from gradmc.kernels.kernel import STATISTICS
from gradmc.kernels.random import Event


@dataclasses.dataclass(frozen=True, slots=True)
class Sghmc(Hmc):
    """HMC by batches of the data, without Metropolis' rule: its draws do not leave the posterior quite as it is.

    Settings are those of `Hmc`.  A transition ends where it began if the density overflows on its way.
    """

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """Those that need no energy."""
        return {name: STATISTICS[name] for name in ("diverging", "n_steps")}

    @property
    def estimates(self) -> bool:
        """Yes."""
        return True

    def accepts(self, error: Float[Array, ""], event: Event) -> Bool[Array, ""]:
        """Always: energies before and after are of different rows."""
        del event
        return jnp.ones_like(error, bool)

    def excess(self, step_size: float, noise: float) -> float:
        """By what share the variances of draws are too large, where the posterior is normal.

        Args:
            step_size: on the whitened scale.
            noise: the variance of an estimated gradient, on the whitened scale.
        """
        shares = (np.arange(1000) + 0.5) / 500 - 1
        times = step_size * np.ceil(self.integration_time * (1 + self.jitter * shares) / step_size)
        added = np.mean(times / 2 - np.sin(2 * times) / 4)
        forgotten = np.mean(np.sin(times) ** 2)
        return float(step_size**2 / (4 - step_size**2) + step_size * noise * added / forgotten)
