"""Random models and data of every family, and the emission of the documentation."""

import importlib.util
import sys
from pathlib import Path

import numpy as np

from estep import Model, kernels
from estep.emissions import (
    Bernoulli,
    Categorical,
    Exponential,
    FactorAnalysis,
    Gamma,
    Gaussian,
    LinearRegression,
    LogNormal,
    MixtureOf,
    Multinomial,
    NegativeBinomial,
    Poisson,
    Product,
    Student,
    VonMises,
)
from estep.latents import Chain, Independent

EXAMPLE = Path(__file__).parents[1] / "examples" / "rayleigh.py"
_spec = importlib.util.spec_from_file_location("rayleigh", EXAMPLE)
_module = importlib.util.module_from_spec(_spec)
sys.modules["rayleigh"] = _module
_spec.loader.exec_module(_module)
Rayleigh = _module.Rayleigh


def covariances(kind, K, D, rng):
    A = rng.normal(size=(K, D, D))
    full = A @ A.swapaxes(1, 2) + 0.5 * np.eye(D)
    diagonal = full.diagonal(axis1=1, axis2=2)
    return {"full": full, "tied": full[0], "diag": diagonal, "spherical": full[:, 0, 0]}[kind]


def gaussian(kind, K, D, rng):
    return Gaussian(kind, rng.normal(0, 2, (K, D)), covariances(kind, K, D, rng))


def factor_analysis(kind, K, D, rng):
    kind, noise = kind if D > 1 else "diag", rng.gamma(2.0, 0.5, (K, D))
    noise = noise if kind == "diag" else noise[:, 0]
    return FactorAnalysis(1, kind, rng.normal(0, 2, (K, D)), rng.normal(size=(K, D, 1)), noise)


FAMILIES = {
    **{
        f"gaussian-{kind}": (lambda K, D, rng, kind=kind: gaussian(kind, K, D, rng))
        for kind in ("full", "tied", "diag", "spherical")
    },
    "poisson": lambda K, D, rng: Poisson(rng.gamma(2.0, 3.0, (K, D))),
    "categorical": lambda K, D, rng: Categorical(rng.dirichlet(np.ones(D + 2), size=K)),
    "bernoulli": lambda K, D, rng: Bernoulli(rng.beta(1.0, 1.0, (K, D))),
    "multinomial": lambda K, D, rng: Multinomial(rng.dirichlet(np.ones(D), size=K), trials=7),
    "exponential": lambda K, D, rng: Exponential(rng.gamma(2.0, 1.0, (K, D))),
    "negative-binomial": lambda K, D, rng: NegativeBinomial(
        rng.gamma(2.0, 3.0, (K, D)), rng.gamma(2.0, 2.0, (K, D)), 300
    ),
    "gamma": lambda K, D, rng: Gamma(rng.gamma(2.0, 2.0, (K, D)), rng.gamma(2.0, 1.0, (K, D))),
    "log-normal": lambda K, D, rng: LogNormal(gaussian("full", K, D, rng)),
    "von-mises": lambda K, D, rng: VonMises(rng.uniform(-3, 3, (K, D)), rng.gamma(2.0, 3.0, (K, D))),
    **{
        f"student-{kind}": (lambda K, D, rng, kind=kind: Student(gaussian(kind, K, D, rng), rng.uniform(2.0, 9.0, K)))
        for kind in ("full", "tied", "diag", "spherical")
    },
    **{
        f"regression-{kind}": (
            lambda K, D, rng, kind=kind: LinearRegression(
                kind, 2, rng.normal(size=(K, D, 2)), rng.normal(0, 2, (K, D)), covariances(kind, K, D, rng)
            )
        )
        for kind in ("full", "tied", "diag", "spherical")
    },
    **{
        f"factor-analysis-{kind}": (lambda K, D, rng, kind=kind: factor_analysis(kind, K, D, rng))
        for kind in ("diag", "spherical")
    },
    "rayleigh": lambda K, D, rng: Rayleigh(rng.gamma(2.0, 1.0, (K, D))),
}


def product(*names):
    """Each with its own columns, one after the other."""

    def make(K, D, rng):
        families = [FAMILIES[name](K, D, rng) for name in names]
        cuts = np.cumsum([0, *(1 if f.rows == "symbols" else D for f in families)])
        return Product({tuple(range(a, b)): f for a, b, f in zip(cuts, cuts[1:], families, strict=False)})

    return make


FAMILIES["product"] = product("gaussian-full", "poisson", "categorical", "gamma")
FAMILIES["product-with-rayleigh"] = product("rayleigh", "negative-binomial", "student-tied")


def mixture_of(inner):
    """Two parts to a state."""
    return lambda K, D, rng: MixtureOf(inner(2 * K, D, rng), 2, rng.dirichlet([3.0, 3.0], size=K))


FAMILIES |= {
    f"mixture-of-{name}": mixture_of(FAMILIES[name]) for name in list(FAMILIES) if name != "product-with-rayleigh"
}


def make_latent(name, K, rng):
    if name == "independent":
        return Independent(rng.dirichlet(np.full(K, 5.0)))
    return Chain(rng.dirichlet(np.full(K, 5.0)), rng.dirichlet(np.full(K, 2.0), size=K))


def make_model(family, latent, K, D, seed=0):
    rng = np.random.default_rng(seed)
    return Model(make_latent(latent, K, rng), FAMILIES[family](K, D, rng))


def rows_of(model, n, seed=0):
    """Rows of the model; those of a regression with covariates first."""
    if "egression" not in repr(model.emission):
        return model.sample(n, seed)[0]
    given = np.random.default_rng(seed + 1).normal(1.0, 2.0, (n, 2))
    return np.hstack([given, model.sample(n, seed, given)[0]])


def read(model, X, lengths=None, **more):
    """Rows as the model reads them; those of a regression have their covariates first."""
    P = model.emission.n_covariates
    return model.source(X[:, P:], lengths, given=X[:, :P], **more) if P else model.source(X, lengths, **more)


def asked(model, X):
    """(rows, keywords) of a question: covariates apart."""
    P = model.emission.n_covariates
    return (X[:, P:], {"given": X[:, :P]}) if P else (X, {})


def draw(model, n, seed=0):
    """Rows from the model, as a source; a chain's rows in a few ragged sequences."""
    X = rows_of(model, n, seed)
    if isinstance(model.latent, Independent):
        return read(model, X)
    cuts = np.unique(np.random.default_rng(seed).integers(1, n, size=min(n - 1, 6))) if n > 1 else np.array([], int)
    return read(model, X, np.diff([0, *cuts, n]))


def use(monkeypatch, level):
    """Has kernels of that level in use."""
    for home in (kernels, kernels.backend):
        monkeypatch.setattr(home, "active", lambda: kernels.load(level))
