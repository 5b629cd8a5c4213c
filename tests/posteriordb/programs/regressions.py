"""Linear and logistic regressions of the reference posteriors, each a loop over the rows of its table.

A program has the parameters, priors and transformations of its posterior's description and nothing else.
Flat priors (density 1 on the support) need no line. Where a description transforms columns first, the
program does it too, in the loop or in one before it, because a user would.
"""

import math

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import bernoulli_logit, cauchy, half_normal, normal, student_t


@gm.model
def earn_height(beta: Real[2], sigma: Positive, *, earn: Data["person"], height: Data["person"]):
    """Earnings in dollars on height in inches; nothing is scaled."""
    lp = 0.0
    for i in range(len(earn)):
        lp += gm.observe("earn", normal(earn[i], beta[0] + beta[1] * height[i], sigma))
    return lp


@gm.model
def log10_earn_height(beta: Real[2], sigma: Positive, *, earn: Data["person"], height: Data["person"]):
    """Base-10 logarithm of earnings on height."""
    lp = 0.0
    for i in range(len(earn)):
        log10_earn = math.log(earn[i]) / math.log(10)
        lp += gm.observe("earn", normal(log10_earn, beta[0] + beta[1] * height[i], sigma))
    return lp


@gm.model
def log_earn_height_male(
    beta: Real[3],
    sigma: Positive,
    *,
    earn: Data["person"],
    height: Data["person"],
    male: Data["person"],
):
    """Logarithm of earnings on height and sex."""
    lp = 0.0
    for i in range(len(earn)):
        eta = beta[0] + beta[1] * height[i] + beta[2] * male[i]
        lp += gm.observe("earn", normal(math.log(earn[i]), eta, sigma))
    return lp


@gm.model
def log_earn_interaction(
    beta: Real[4],
    sigma: Positive,
    *,
    earn: Data["person"],
    height: Data["person"],
    male: Data["person"],
):
    """Logarithm of earnings on height, sex and their product."""
    lp = 0.0
    for i in range(len(earn)):
        eta = beta[0] + beta[1] * height[i] + beta[2] * male[i] + beta[3] * height[i] * male[i]
        lp += gm.observe("earn", normal(math.log(earn[i]), eta, sigma))
    return lp


@gm.model
def kidscore_momhsiq(
    beta: Real[3],
    sigma: Positive,
    *,
    kid_score: Data["child"],
    mom_hs: Data["child"],
    mom_iq: Data["child"],
):
    """Test score on the mother's schooling and IQ; half-Cauchy prior on sigma."""
    lp = cauchy(sigma, 0.0, 2.5)
    for i in range(len(kid_score)):
        eta = beta[0] + beta[1] * mom_hs[i] + beta[2] * mom_iq[i]
        lp += gm.observe("kid_score", normal(kid_score[i], eta, sigma))
    return lp


@gm.model
def kidscore_interaction(
    beta: Real[4],
    sigma: Positive,
    *,
    kid_score: Data["child"],
    mom_hs: Data["child"],
    mom_iq: Data["child"],
):
    """Test score on the mother's schooling, IQ and their product; half-Cauchy prior on sigma."""
    lp = cauchy(sigma, 0.0, 2.5)
    for i in range(len(kid_score)):
        eta = beta[0] + beta[1] * mom_hs[i] + beta[2] * mom_iq[i] + beta[3] * mom_hs[i] * mom_iq[i]
        lp += gm.observe("kid_score", normal(kid_score[i], eta, sigma))
    return lp


@gm.model
def kidscore_interaction_z(
    beta: Real[4],
    sigma: Positive,
    *,
    kid_score: Data["child"],
    mom_hs: Data["child"],
    mom_iq: Data["child"],
):
    """Test score on predictors centred and divided by two standard deviations, inside the program."""
    n = len(kid_score)
    mean_hs, mean_iq = 0.0, 0.0
    for i in range(n):
        mean_hs += mom_hs[i] / n
        mean_iq += mom_iq[i] / n
    var_hs, var_iq = 0.0, 0.0
    for i in range(n):
        var_hs += (mom_hs[i] - mean_hs) ** 2 / (n - 1)
        var_iq += (mom_iq[i] - mean_iq) ** 2 / (n - 1)
    lp = 0.0
    for i in range(n):
        z_hs = (mom_hs[i] - mean_hs) / (2 * math.sqrt(var_hs))
        z_iq = (mom_iq[i] - mean_iq) / (2 * math.sqrt(var_iq))
        eta = beta[0] + beta[1] * z_hs + beta[2] * z_iq + beta[3] * z_hs * z_iq
        lp += gm.observe("kid_score", normal(kid_score[i], eta, sigma))
    return lp


@gm.model
def kidscore_mom_work(beta: Real[4], sigma: Positive, *, kid_score: Data["child"], mom_work: Data["child"]):
    """Test score on a factor of four levels; level 1 is the baseline."""
    lp = 0.0
    for i in range(len(kid_score)):
        eta = beta[0]
        if mom_work[i] == 2:
            eta += beta[1]
        elif mom_work[i] == 3:
            eta += beta[2]
        elif mom_work[i] == 4:
            eta += beta[3]
        lp += gm.observe("kid_score", normal(kid_score[i], eta, sigma))
    return lp


@gm.model
def kilpisjarvi(
    alpha: Real,
    beta: Real,
    sigma: Positive,
    *,
    x: Data["year"],
    y: Data["year"],
    pmualpha: Data,
    psalpha: Data,
    pmubeta: Data,
    psbeta: Data,
):
    """Summer temperature on the calendar year, far from centred: a needle-shaped posterior."""
    lp = normal(alpha, pmualpha, psalpha) + normal(beta, pmubeta, psbeta)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], alpha + beta * x[i], sigma))
    return lp


@gm.model
def mesquite(
    beta: Real[7],
    sigma: Positive,
    *,
    weight: Data["bush"],
    diam1: Data["bush"],
    diam2: Data["bush"],
    canopy_height: Data["bush"],
    total_height: Data["bush"],
    density: Data["bush"],
    group: Data["bush"],
):
    """Leaf weight of mesquite bushes on six measurements as they are."""
    lp = 0.0
    for i in range(len(weight)):
        eta = beta[0] + beta[1] * diam1[i] + beta[2] * diam2[i] + beta[3] * canopy_height[i]
        eta += beta[4] * total_height[i] + beta[5] * density[i] + beta[6] * group[i]
        lp += gm.observe("weight", normal(weight[i], eta, sigma))
    return lp


@gm.model
def logmesquite_logvas(
    beta: Real[7],
    sigma: Positive,
    *,
    weight: Data["bush"],
    diam1: Data["bush"],
    diam2: Data["bush"],
    canopy_height: Data["bush"],
    total_height: Data["bush"],
    density: Data["bush"],
    group: Data["bush"],
):
    """Log leaf weight on log canopy volume, area, shape, total height and density."""
    lp = 0.0
    for i in range(len(weight)):
        eta = beta[0] + beta[1] * math.log(diam1[i] * diam2[i] * canopy_height[i])
        eta += beta[2] * math.log(diam1[i] * diam2[i]) + beta[3] * math.log(diam1[i] / diam2[i])
        eta += beta[4] * math.log(total_height[i]) + beta[5] * math.log(density[i]) + beta[6] * group[i]
        lp += gm.observe("weight", normal(math.log(weight[i]), eta, sigma))
    return lp


@gm.model
def logmesquite_logvolume(
    beta: Real[2],
    sigma: Positive,
    *,
    weight: Data["bush"],
    diam1: Data["bush"],
    diam2: Data["bush"],
    canopy_height: Data["bush"],
):
    """Log leaf weight on log canopy volume."""
    lp = 0.0
    for i in range(len(weight)):
        volume = diam1[i] * diam2[i] * canopy_height[i]
        lp += gm.observe("weight", normal(math.log(weight[i]), beta[0] + beta[1] * math.log(volume), sigma))
    return lp


@gm.model
def nes(
    beta: Real[9],
    sigma: Positive,
    *,
    partyid7: Data["voter"],
    real_ideo: Data["voter"],
    race_adj: Data["voter"],
    age_discrete: Data["voter"],
    educ1: Data["voter"],
    gender: Data["voter"],
    income: Data["voter"],
):
    """Party identification of a National Election Study; age is a factor of four levels."""
    lp = 0.0
    for i in range(len(partyid7)):
        eta = beta[0] + beta[1] * real_ideo[i] + beta[2] * race_adj[i]
        if age_discrete[i] == 2:
            eta += beta[3]
        if age_discrete[i] == 3:
            eta += beta[4]
        if age_discrete[i] == 4:
            eta += beta[5]
        eta += beta[6] * educ1[i] + beta[7] * gender[i] + beta[8] * income[i]
        lp += gm.observe("partyid7", normal(partyid7[i], eta, sigma))
    return lp


@gm.model
def blr(beta: Real["predictor"], sigma: Positive, *, X: Data["row", "predictor"], y: Data["row"]):
    """Regression without an intercept, weakly informative priors."""
    lp = half_normal(sigma, 10.0)
    for d in range(len(beta)):
        lp += normal(beta[d], 0.0, 10.0)
    for i in range(len(y)):
        eta = 0.0
        for d in range(len(beta)):
            eta += X[i, d] * beta[d]
        lp += gm.observe("y", normal(y[i], eta, sigma))
    return lp


@gm.model
def diamonds(
    b: Real["K - 1"],
    Intercept: Real,
    sigma: Positive,
    *,
    X: Data["row", "K"],
    Y: Data["row"],
):
    """Log price on 24 collinear predictors, centred inside the program; the first column of X is dropped."""
    n, k = X.shape
    mean = [0.0] * (k - 1)
    for j in range(k - 1):
        for i in range(n):
            mean[j] += X[i, j + 1] / n
    lp = student_t(Intercept, 3.0, 8.0, 10.0) + student_t(sigma, 3.0, 0.0, 10.0)
    for j in range(k - 1):
        lp += normal(b[j], 0.0, 1.0)
    for i in range(n):
        eta = Intercept
        for j in range(k - 1):
            eta += (X[i, j + 1] - mean[j]) * b[j]
        lp += gm.observe("Y", normal(Y[i], eta, sigma))
    return lp


@gm.model
def nes_logit(alpha: Real, beta: Real[1], *, income: Data["voter"], vote: Data["voter"]):
    """Presidential vote on income."""
    lp = 0.0
    for i in range(len(vote)):
        lp += gm.observe("vote", bernoulli_logit(vote[i], alpha + beta[0] * income[i]))
    return lp
