"""An iteration of each family beside that of the diagonal Gaussian: 100 000 rows of 8 columns, 8 components.

python benchmarks/families.py
"""

import numpy as np

import estep
from estep import Stop
from estep.emissions import (
    Bernoulli,
    Categorical,
    Exponential,
    FactorAnalysis,
    Gamma,
    Gaussian,
    LinearRegression,
    LogNormal,
    Multinomial,
    NegativeBinomial,
    Poisson,
    Product,
    Student,
    VonMises,
)
from estep.latents import Chain, Independent

N, D, K = 100_000, 8, 8


def data(rng):
    """Rows of each kind, in K groups."""
    level = rng.gamma(2.0, 2.0, (K, D))[rng.integers(0, K, N)]
    real = level + rng.normal(size=(N, D))
    return {
        "real": real,
        "positive": rng.gamma(3.0, level),
        "counts": rng.poisson(level).astype(float),
        "binary": (rng.random((N, D)) < level / (level + 3)).astype(float),
        "symbols": rng.integers(0, 32, (N, 1)),
        "table": np.hstack([real[:, :3], rng.poisson(level[:, 3:6]), rng.integers(0, 2, (N, 2))]),
    }


FAMILIES = [
    (Gaussian("diag"), "real"), (Gaussian("full"), "real"), (Gaussian("tied"), "real"), (Gaussian("spherical"), "real"),
    (Student(Gaussian("diag")), "real"), (Student(Gaussian("full")), "real"), (LogNormal(), "positive"),
    (Gamma(), "positive"), (Exponential(), "positive"), (VonMises(), "real"), (Poisson(), "counts"),
    (NegativeBinomial(), "counts"), (Multinomial(), "counts"), (Bernoulli(), "binary"), (Categorical(), "symbols"),
    (LinearRegression(n_given=6), "real"), (FactorAnalysis(2), "real"),
    (Product({(0, 1, 2): Gaussian("diag"), (3, 4, 5): Poisson(), 6: Categorical(), 7: Bernoulli()}), "table"),
]  # fmt: skip


def main():
    rng, execute = np.random.default_rng(0), estep.threads(None)
    rows, base = data(rng), {}
    print(f"{'family':32s} {'mixture ns':>10s} {'ratio':>6s} {'chain ns':>10s} {'ratio':>6s}")
    for emission, kind in FAMILIES:
        inner = emission.gaussian if isinstance(emission, Student) else emission
        line = f"{emission.name} {getattr(inner, 'covariance_type', ''):24s}"[:32].ljust(32)
        for latent in (Independent(), Chain()):
            chain = isinstance(latent, Chain)
            source = estep.as_source(rows[kind], np.full(200, N // 200) if chain else None, rows=emission.rows)
            start = estep.start_model(latent, emission, source, K, "random", np.random.default_rng(1))
            fit = estep.fit(start, source, stop=Stop(tol=0, max_iter=15), execute=execute)
            ns = float(np.median(np.diff(fit.trace.seconds))) / N * 1e9
            base.setdefault(chain, ns)
            line += f" {ns:10.1f} {ns / base[chain]:6.2f}"
        print(line)


if __name__ == "__main__":
    main()
