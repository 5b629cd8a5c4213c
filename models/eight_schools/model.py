"""Eight schools: effects of coaching on a test score, centred and non-centred (Rubin 1981)."""

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_cauchy, normal


@gm.model
def eight_schools_centred(mu: Real, tau: Positive, theta: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    """The true effect theta[j] of each school is a parameter: natural to read, hard to sample."""
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau)
        lp += gm.observe("y", normal(y[j], theta[j], sigma[j]))
    return lp


@eight_schools_centred.simulator
def simulate_centred(rng, mu, tau, theta, *, y, sigma):
    """New estimates for the same eight schools."""
    return {"y": rng.normal(theta, sigma)}


@gm.model
def eight_schools(mu: Real, tau: Positive, z: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    """The same posterior with theta[j] = mu + tau * z[j]: no funnel, so this is the one to sample."""
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        theta = gm.record("theta", mu + tau * z[j], dims="school")
        lp += normal(z[j], 0.0, 1.0)
        lp += gm.observe("y", normal(y[j], theta, sigma[j]))
    return lp


@eight_schools.simulator
def simulate(rng, mu, tau, z, *, y, sigma):
    """New estimates for the same eight schools."""
    return {"y": rng.normal(mu + tau * z, sigma)}
