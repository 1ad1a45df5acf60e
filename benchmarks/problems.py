"""What is compared: each problem is data with a start, our run and the peers' runs from that start.

A run takes a number of iterations and returns the log-likelihood of the model that entered the last E-step.
"""

import sys
import types
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

import estep
import workloads


@dataclass
class Mixture:
    """Gaussian mixture of N rows and D columns, from given means, unit covariances and equal weights."""

    N: int
    D: int
    K: int
    covariance_type: str
    long: int
    targets: dict = field(default_factory=dict)
    dtype: type = np.float64

    @property
    def name(self):
        single = " float32" if self.dtype == np.float32 else ""
        return f"GMM {self.covariance_type} {_thousands(self.N)} x {self.D}, K={self.K}{single}"

    @property
    def rows(self):
        return self.N

    @property
    def flops(self):
        """Multiply-adds count twice; 4 F K a row."""
        F = (self.D + 1) * (self.D + 2) / 2 if self.covariance_type == "full" else 2 * self.D + 1
        return 4 * F * self.K * self.N if self.covariance_type in ("full", "diag") else None

    @cached_property
    def data(self):
        X, means = workloads.gmm(self.N, self.D, self.K)
        return X.astype(self.dtype), means

    @property
    def start(self):
        K, D = self.K, self.D
        shape = {"full": np.tile(np.eye(D), (K, 1, 1)), "tied": np.eye(D), "diag": np.ones((K, D))}
        return dict(
            weights_init=np.full(K, 1 / K), means_init=self.data[1], precisions_init=shape[self.covariance_type]
        )

    def model(self, iterations=1):
        kind = self.covariance_type
        return estep.GaussianMixture(self.K, covariance_type=kind, tol=0, max_iter=iterations, **self.start)

    def ours(self, iterations):
        return self.model(iterations).fit(self.data[0]).lower_bounds_[iterations - 1] * self.N

    def peers(self):
        runs = {"scikit-learn": self.scikit_learn}
        if self.covariance_type == "full" and self.D > 2:
            runs["oneDAL"] = self.onedal
        if self.covariance_type != "tied" and self.D > 2:
            runs["pomegranate"] = self.pomegranate
        return runs

    def scikit_learn(self, iterations):
        from sklearn.mixture import GaussianMixture

        fit = GaussianMixture(
            self.K, covariance_type=self.covariance_type, tol=0, reg_covar=0, max_iter=iterations,
            init_params="random_from_data", **self.start,
        )  # fmt: skip
        return fit.fit(self.data[0]).lower_bound_ * self.N

    def onedal(self, iterations):
        # daal4py's own package wants an older scikit-learn for parts that are not used here
        stub = types.ModuleType("daal4py.sklearn")
        stub.__path__ = []
        sys.modules.setdefault("daal4py.sklearn", stub)
        import daal4py

        algorithm = daal4py.em_gmm(nComponents=self.K, maxIterations=iterations, accuracyThreshold=0)
        X, means = self.data
        weights = np.full((1, self.K), 1 / self.K)
        out = algorithm.compute(X, weights, means.copy(), [np.eye(self.D) for _ in range(self.K)])
        return float(out.goalFunction[0, 0])

    def pomegranate(self, iterations):
        """In single precision, as it is meant to be used; the likelihood is not compared."""
        import torch
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel

        torch.set_num_threads(2)
        kind = self.covariance_type
        covariance = torch.eye(self.D) if kind == "full" else torch.ones(self.D)
        parts = [
            Normal(means=torch.tensor(mean, dtype=torch.float32), covs=covariance.clone(), covariance_type=kind)
            for mean in self.data[1]
        ]
        model = GeneralMixtureModel(parts, max_iter=iterations, tol=-np.inf)
        model.fit(torch.tensor(self.data[0], dtype=torch.float32))


@dataclass
class Chain:
    """HMM from given parameters: ``kind`` is categorical, gaussian or ragged."""

    kind: str
    S: int
    T: int
    K: int
    D: int  # columns, or symbols
    long: int
    targets: dict = field(default_factory=dict)
    dtype: type = np.float64
    flops = None

    @property
    def name(self):
        what = f"{self.D} symbols" if self.kind == "categorical" else f"D={self.D}"
        shape = "2000 x 5 to 400" if self.kind == "ragged" else f"{self.S} x {_thousands(self.T)}"
        single = " float32" if self.dtype == np.float32 else ""
        return f"{'categorical' if self.kind == 'categorical' else 'Gaussian'} HMM {shape}, K={self.K}, {what}{single}"

    @property
    def rows(self):
        return len(self.data[0])

    @cached_property
    def data(self):
        if self.kind == "ragged":
            return workloads.ragged_hmm(self.S, 5, 400, self.K, self.D)
        make = workloads.cat_hmm if self.kind == "categorical" else workloads.gauss_hmm
        X, lengths, A, emission = make(self.S, self.T, self.K, self.D)
        return X if self.kind == "categorical" else X.astype(self.dtype), lengths, A, emission

    def model(self, iterations=1):
        K, start = self.K, dict(startprob_init=np.full(self.K, 1 / self.K), transmat_init=self.data[2])
        if self.kind == "categorical":
            return estep.CategoricalHMM(K, tol=0, max_iter=iterations, emissionprob_init=self.data[3], **start)
        start |= dict(means_init=self.data[3], covariances_init=np.ones((K, self.D)))
        return estep.GaussianHMM(K, covariance_type="diag", tol=0, max_iter=iterations, **start)

    def ours(self, iterations):
        return self.model(iterations).fit(self.data[0], self.data[1]).lower_bounds_[iterations - 1]

    def peers(self):
        runs = {"hmmlearn": self.hmmlearn}
        if self.kind != "ragged" and (self.S > 1 or self.K > 8):
            runs["dynamax"] = self.dynamax
        if self.kind == "categorical" and self.S > 1:
            runs["pomegranate"] = self.pomegranate
        return runs

    def hmmlearn_model(self, iterations=1):
        from hmmlearn import hmm

        common = dict(n_iter=iterations, tol=-np.inf, init_params="", implementation="scaling")
        if self.kind == "categorical":
            fit = hmm.CategoricalHMM(self.K, **common)
            fit.emissionprob_ = self.data[3]
        else:
            fit = hmm.GaussianHMM(self.K, covariance_type="diag", covars_prior=0, **common)
            fit.means_, fit.covars_ = self.data[3], np.ones((self.K, self.D))
        fit.startprob_, fit.transmat_ = np.full(self.K, 1 / self.K), self.data[2]
        return fit

    def hmmlearn(self, iterations):
        X, lengths = self.data[0], self.data[1]
        return self.hmmlearn_model(iterations).fit(X, lengths).monitor_.history[-1]

    def dynamax(self, iterations):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        from dynamax.hidden_markov_model import CategoricalHMM, DiagonalGaussianHMM

        X, lengths, A, emission = self.data
        shape, start = (len(lengths), lengths[0], -1), jnp.full(self.K, 1 / self.K)
        if self.kind == "categorical":
            flat = dict(initial_probs_concentration=1.0, transition_matrix_concentration=1.0)
            hmm = CategoricalHMM(self.K, 1, self.D, emission_prior_concentration=1.0, **flat)
            given = dict(emission_probs=jnp.asarray(emission)[:, None, :])
        else:
            hmm = DiagonalGaussianHMM(self.K, self.D)  # with its weak priors: without, it gives NaN
            given = dict(emission_means=jnp.asarray(emission), emission_scale_diags=jnp.ones((self.K, self.D)))
        parameters, properties = hmm.initialize(
            jax.random.PRNGKey(0), initial_probs=start, transition_matrix=jnp.asarray(A), **given
        )
        rows = jnp.asarray(X).reshape(shape)
        fitted, _ = hmm.fit_em(parameters, properties, rows, num_iters=iterations, verbose=False)
        self.dynamax_score = lambda: float(jax.vmap(lambda x: hmm.marginal_log_prob(fitted, x))(rows).sum())

    def pomegranate(self, iterations):
        """In single precision, with end probabilities; the likelihood is not compared."""
        import torch
        from pomegranate.distributions import Categorical
        from pomegranate.hmm import DenseHMM

        torch.set_num_threads(2)
        X, lengths, A, emission = self.data
        model = DenseHMM(
            [Categorical([row]) for row in emission], edges=A.astype(np.float32),
            starts=np.full(self.K, 1 / self.K, np.float32), max_iter=iterations, tol=0.0,
        )  # fmt: skip
        model.fit(torch.tensor(X.reshape(len(lengths), lengths[0], 1)))


@dataclass
class Mixtures(Chain):
    """GMM-HMM of M parts a state, from given means, unit covariances and equal weights."""

    M: int = 1

    @property
    def name(self):
        return f"GMM-HMM diag {self.S} x {self.T}, K={self.K}, M={self.M}, D={self.D}"

    @cached_property
    def data(self):
        return workloads.gmm_hmm(self.S, self.T, self.K, self.M, self.D)

    def model(self, iterations=1):
        means = self.data[3]
        return estep.GMMHMM(
            self.K, self.M, tol=0, max_iter=iterations, startprob_init=np.full(self.K, 1 / self.K),
            transmat_init=self.data[2], weights_init=np.full((self.K, self.M), 1 / self.M), means_init=means,
            covariances_init=np.ones(means.shape),
        )  # fmt: skip

    def peers(self):
        return {"hmmlearn": self.hmmlearn}

    def hmmlearn_model(self, iterations=1):
        """Its priors but one have no weight: the covariances', for which there is no value that does nothing."""
        from hmmlearn import hmm

        fit = hmm.GMMHMM(
            self.K, self.M, n_iter=iterations, tol=-np.inf, init_params="", min_covar=0, implementation="scaling"
        )
        fit.startprob_, fit.transmat_ = np.full(self.K, 1 / self.K), self.data[2]
        fit.weights_ = np.full((self.K, self.M), 1 / self.M)
        fit.means_, fit.covars_ = self.data[3].copy(), np.ones(self.data[3].shape)
        return fit


@dataclass
class Path(Chain):
    """The most probable path of a Chain's data; an iteration is a call."""

    @property
    def name(self):
        return "Viterbi, " + super().name

    @cached_property
    def decoder(self):
        model = estep.Model(estep.latents.Chain(np.full(self.K, 1 / self.K), self.data[2]), self.emission)
        return model, model.source(self.data[0], self.data[1]), estep.threads()

    @property
    def emission(self):
        if self.kind == "categorical":
            return estep.emissions.Categorical(self.data[3])
        return estep.emissions.Gaussian("diag", self.data[3], np.ones((self.K, self.D)))

    def ours(self, iterations):
        model, source, execute = self.decoder
        for _ in range(iterations):
            _, logprob = model.decode(source, execute=execute)
        return logprob.sum()

    def peers(self):
        return {"hmmlearn": self.hmmlearn}

    def hmmlearn(self, iterations):
        model = self.hmmlearn_model()
        if self.kind == "categorical":
            model.n_features = self.D
        for _ in range(iterations):
            logprob, _ = model.decode(self.data[0], self.data[1])
        return logprob


def _thousands(n):
    return f"{n // 1_000_000}M" if n >= 1_000_000 else f"{n // 1000}k" if n >= 10_000 else str(n)


PROBLEMS = [
    Mixture(300_000, 16, 32, "full", 4, {"scikit-learn": 45, "oneDAL": 2}),
    Mixture(100_000, 64, 16, "full", 4, {"scikit-learn": 14, "oneDAL": 1.4}),
    Mixture(100_000, 40, 256, "diag", 3, {"scikit-learn": 30}),
    Mixture(100_000, 64, 16, "tied", 6, {"scikit-learn": 60}),
    Mixture(10_000, 2, 3, "full", 101, {"scikit-learn": 6}),
    Chain("categorical", 1000, 200, 8, 64, 21, {"hmmlearn": 35, "dynamax": 150}),
    Chain("categorical", 1, 200_000, 8, 64, 21, {"hmmlearn": 15}),
    Chain("ragged", 2000, 0, 4, 2, 21, {"hmmlearn": 20}),
    Chain("gaussian", 200, 500, 5, 13, 21, {"hmmlearn": 15}),
    Chain("gaussian", 1, 50_000, 64, 8, 6, {"hmmlearn": 30, "dynamax": 7}),
    Chain("gaussian", 1, 200_000, 2, 1, 41, {"hmmlearn": 6}),
    Mixtures("gmm", 100, 500, 5, 39, 11, {"hmmlearn": 150}, M=8),
    Path("categorical", 1000, 200, 8, 64, 21, {"hmmlearn": 12}),
    Path("gaussian", 200, 500, 5, 13, 21, {"hmmlearn": 15}),
    Path("gaussian", 1, 50_000, 64, 8, 6, {"hmmlearn": 40}),
    Path("gaussian", 1, 200_000, 2, 1, 41, {"hmmlearn": 6}),
]
SINGLE = [  # in single precision, against ourselves in double
    (Mixture(300_000, 16, 32, "full", 5), Mixture(300_000, 16, 32, "full", 5, dtype=np.float32)),
    (Mixture(100_000, 64, 16, "full", 5), Mixture(100_000, 64, 16, "full", 5, dtype=np.float32)),
    (Chain("gaussian", 1, 50_000, 64, 8, 8), Chain("gaussian", 1, 50_000, 64, 8, 8, dtype=np.float32)),
]
