"""Fits of random models to random data, held to densities found in another way.

    python tests/fuzz.py --fits 5000            about ten minutes
    python tests/fuzz.py --fits 300 --seed 7    others; --only gaussian for families whose name holds that

A finding is an exception, a parameter or bound that is not finite, a bound that falls, or a log-likelihood, posterior
or path that is not that of :mod:`independent`, on any level of kernels. The exit code is 1 where there is one.
"""

import argparse
import sys
import time
import traceback
import warnings
from dataclasses import replace
from functools import partial

import numpy as np

import estep
import independent
from estep import Stop, kernels
from estep.algorithms import ALGORITHMS
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.inference import reading
from estep.latents import Chain, Independent
from estep.util.numbers import as_numbers
from models import FAMILIES, make_latent

REAL = ("gaussian", "student", "factor-analysis", "regression")
WITHOUT = ("rayleigh",)  # a family of one's own


def blank(emission):
    """The family without parameters."""
    return emission.with_values(**dict.fromkeys(emission.values()))


def case(rng, only):
    """(family's name, model to draw from, rows (n, D), lengths, weights, labels, estimate, algorithm)."""
    names = [f for f in FAMILIES if not any(w in f for w in WITHOUT) and only in f]
    family, latent = rng.choice(names), rng.choice(["independent", "chain"])
    K, D, n = int(rng.integers(1, 5)), int(rng.integers(1, 6)), int(rng.integers(5, 120))
    truth = estep.Model(make_latent(latent, K, rng), FAMILIES[family](K, D, rng))
    given = rng.normal(1, 2, (n, 2)) if truth.emission.n_covariates else None
    X = np.asarray(truth.sample(n, rng, given)[0], dtype=float)
    plain = family.removeprefix("mixture-of-")
    if plain.startswith(REAL) and rng.random() < 0.5:
        scale, shift = 10.0 ** rng.uniform(-6, 6), rng.normal() * 10.0 ** rng.uniform(-3, 3)
        X = (X + shift) * scale
    if given is not None:
        X = np.hstack([given, X])
    P = truth.emission.n_covariates
    if truth.emission.allows_missing and rng.random() < 0.3:
        holes = rng.random(X.shape) < rng.choice([0.05, 0.3])
        holes[:, :P] = False
        if "multinomial" in family:
            holes[:] = holes[:, :1]
        holes[rng.integers(n)] = False
        X[holes] = np.nan
    lengths = None
    if latent == "chain":
        cuts = np.unique(rng.integers(1, n, int(rng.integers(0, 4))))
        lengths = np.diff([0, *cuts, n])
    units = n if lengths is None else len(lengths)
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], units) if rng.random() < 0.2 else None
    if weights is not None and not weights.any():
        weights[0] = 1.0
    labels = np.where(rng.random(n) < 0.3, rng.integers(0, K, n), -1) if rng.random() < 0.15 else None
    single = plain.startswith(("gaussian", "student", "factor")) and rng.random() < 0.2
    return family, truth, X.astype(np.float32) if single else X, lengths, weights, labels


def ways(rng, family, truth):
    """(estimate, algorithm) that go with a family."""
    conjugate = isinstance(truth.emission, ConjugateEmission) and bool(truth.emission.blocks)
    estimate = str(rng.choice(["ml", "map", "vb"])) if conjugate else "ml"
    if estimate == "vb" and any(w in family for w in ("von-mises", "gamma", "product")):
        estimate = "map"  # no posterior in closed form
    return estimate, str(rng.choice(list(ALGORITHMS)))


def run(rng, truth, X, lengths, weights, labels, estimate, algorithm):
    """One fit; what was wrong, None: nothing."""
    K = truth.n_components
    if K * getattr(truth.emission, "n_mix", 1) > len(X):
        return None
    family, P = blank(truth.emission), truth.emission.n_covariates
    source = source_of(truth, X, lengths, weights, labels, prepare=False)
    latent = Chain() if isinstance(truth.latent, Chain) else Independent()
    begun = estep.start_model(latent, family.given_columns(P) if P else family, source, K, "random", rng)
    fit = estep.fit(estep.with_prior(begun, source, estimate), source, ALGORITHMS[algorithm](), Stop(1e-9, 25))
    return judge(fit, X, lengths, weights, labels, algorithm, estimate)


def source_of(model, X, lengths, weights, labels, prepare=True):
    """The rows as the model reads them; those of a regression have their covariates first."""
    P = model.emission.n_covariates
    read = model.source if prepare else partial(reading.read, model)
    return read(X[:, P:] if P else X, lengths, weights, labels, X[:, :P] if P else None)


def judge(fit, X, lengths, weights, labels, algorithm, estimate):
    """What is wrong with a fit, None: nothing."""
    model = fit.model
    for part in (model.latent, model.emission):
        for name, value in part.values().items():
            if not np.isfinite(as_numbers(value)).all():
                return f"{name} is not finite"
    bounds = np.array(fit.trace.bounds)
    known = bounds[np.isfinite(bounds)]
    single = X.dtype == np.float32
    slack = (1e-5 if single else 1e-10) * np.maximum(
        np.abs(known[1:]), fit.weight
    ) + model.emission.rounding * fit.weight
    if not len(known) or not np.isfinite(fit.bound):
        return f"bounds {bounds}"
    if ((np.diff(known) < -slack).any() and model.emission.maximizes) or fit.stop_reason == "bound fell":
        return f"the bound falls: {fit.stop_reason} {np.diff(known).min():.3g} of {known[-1]:.6g}"
    if estimate == "vb":
        return None
    return compare(fit, X, lengths, weights, labels, algorithm, single)


def truth_of(model, X, lengths, labels):
    """Independent (log-likelihoods of units, posterior (n, K), log-probabilities of best paths)."""
    logb = independent.log_densities(model.emission, X)
    if labels is not None:
        known = labels[:, None] >= 0
        logb = np.where(known & (labels[:, None] != np.arange(logb.shape[1])), -np.inf, logb)
    if lengths is None:
        with np.errstate(divide="ignore"):
            joint = logb + np.log(np.asarray(model.latent.weights, dtype=independent.LONG))
        total = independent.logsumexp(joint, axis=1)
        return total, np.exp(joint - total[:, None]), joint.max(axis=1)
    parts = np.split(logb, np.cumsum(lengths)[:-1])
    found = [independent.chain(model.latent.startprob, model.latent.transmat, part) for part in parts]
    return np.array([f[0] for f in found]), np.concatenate([f[1] for f in found]), np.array([f[2] for f in found])


def compare(fit, X, lengths, weights, labels, algorithm, single):
    model = fit.model
    source = source_of(model, X, lengths, weights, None)
    total, posterior, best = truth_of(model, X, lengths, None)
    rows = np.ones(len(total)) if lengths is None else np.asarray(lengths)
    size = np.where(np.isfinite(total), np.abs(total), 0)
    near = 1e-9 * np.maximum(size, rows) + 50 * model.emission.rounding * np.maximum(size, rows)
    near = near.astype(float) + (1e-5 * np.maximum(size, rows) if single else 0.0)
    for level in kernels.levels():
        kernels_of(level)
        fresh = source_of(replace(model), X, lengths, None, None)
        units = fresh.unsorted(replace(model).score_units(fresh))
        if (wrong := apart(units, total) > near).any():
            i = int(np.argmax(wrong))
            return f"{level}: log-likelihood of unit {i} is {units[i]:.12g}, not {float(total[i]):.12g}"
    kernels_of(None)
    unsure = 100 * float(near.max())
    possible = np.isfinite(total) if lengths is None else np.repeat(np.isfinite(total), lengths)
    r = source.unsorted(model.predict_proba(source, on_impossible="skip"))
    off = np.abs(r - posterior)[possible]
    if off.size and not off.max() <= 1e-8 + unsure:
        return f"posterior is off by {off.max():.3g}"
    _, paths = model.decode(source, on_impossible="skip")
    paths = source.unsorted(paths)
    if (apart(paths, best) > near).any():
        return f"the best path's log-probability is off by {float(apart(paths, best).max()):.3g}"
    with_labels, _, best = truth_of(model, X, lengths, labels)
    if lengths is None:  # a row without values is no row
        empty = np.isnan(X[:, model.emission.n_covariates :]).all(axis=1)
        with_labels, best = np.where(empty, 0, with_labels), np.where(empty, 0, best)
    counted = np.ones(len(with_labels), bool) if weights is None else weights > 0
    w = np.ones(len(with_labels)) if weights is None else weights
    whole = float((w * np.where(counted, best if algorithm == "hard" else with_labels, 0)).sum())
    if abs(fit.log_likelihood - whole) > float((w * near).sum()) + 1e-9 * abs(whole):
        return f"the fit's log-likelihood is {fit.log_likelihood:.12g}, not {whole:.12g}"
    return None


def apart(values, truth):
    """Distances; two that are -inf are at the same place."""
    return np.where(values == truth, 0.0, np.abs(values - np.where(values == truth, 0, truth))).astype(float)


BEST = kernels.active


def kernels_of(level):
    """Has kernels of that level in use; None: those that are in use without."""
    kernels.active = BEST if level is None else lambda: kernels.load(level)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first fit, to see one again")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    warnings.filterwarnings("error", category=RuntimeWarning, module="estep")
    begun, bad = time.perf_counter(), 0
    for i in range(asked.first, asked.first + asked.fits):
        what, wrong = one_fit(asked.seed, i, asked.only)
        if wrong:
            bad += 1
            print(f"fit {i}: {what}\n    {wrong}", flush=True)
    print(f"{asked.fits} fits, {bad} findings, {time.perf_counter() - begun:.0f} s")
    return bad > 0


def one_fit(seed, i, only=""):
    """What the fit is, and what is wrong with it; None: nothing."""
    rng = np.random.default_rng([seed, i])
    family, truth, X, lengths, weights, labels = case(rng, only)
    estimate, algorithm = ways(rng, family, truth)
    extras = {"weights": weights is not None, "labels": labels is not None, "gaps": np.isnan(X).any()}
    what = f"{family} {truth.latent.name} K={truth.n_components} {X.shape} {X.dtype} {estimate} {algorithm} "
    what += " ".join(name for name, on in extras.items() if on)
    try:
        return what, run(rng, truth, X, lengths, weights, labels, estimate, algorithm)
    except Exception as error:
        kernels_of(None)
        return what, f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-5)}"


if __name__ == "__main__":
    sys.exit(main())
