"""A model: latent x emission. Mixtures and hidden Markov models are the same class with another latent part.

What is asked of a model is :class:`estep.inference.questions.Questions`; answers are in :mod:`estep.inference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.columns import Roles
from estep.data.source import Source
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.execution.base import Execute
from estep.inference import e_step, m_step
from estep.inference.constraints import Constraints
from estep.inference.prepare import prepared
from estep.inference.questions import Questions
from estep.inference.reading import read
from estep.interface import Boundary, Climbed, Emission, Evaluation, Latent, Notes
from estep.kernels.spec import Spec
from estep.parameters import packing
from estep.priors import Conjugate, Prior
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property


@dataclass(frozen=True, eq=False)
class Model(Questions):
    """A latent part and an emission, both with their parameters; immutable.

    ``columns`` names the columns of the data, covariates first (an empty name: it had none), ``roles`` those that are
    no features, as pairs of a role ("sequence", "weight", "labels") and a column; ``symbols`` the symbols of a
    categorical emission, or of the columns of a table, as pairs of column and symbols; all may be empty.
    ``beta``: the power of all densities in the E-step, see :meth:`tempered`. ``prior``: the priors of blocks of
    parameters by name, None for maximum likelihood; ``posterior``: what they have become, for variational Bayes, whose
    latent part and emission hold expected parameters (see :func:`estep.with_prior`). ``constraints``: parameters that
    stay as they are (see :func:`estep.constrained`).
    """

    latent: Latent
    emission: Emission
    columns: tuple[str, ...] = ()
    symbols: tuple[Any, ...] = ()
    roles: Roles = ()
    beta: float = 1.0
    prior: Mapping[str, Prior] | None = None
    posterior: Mapping[str, Any] | None = None
    constraints: Constraints | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.latent, Latent) or not isinstance(self.emission, Emission):
            raise TypeError(
                f"a Model is a latent part and an emission, not {type(self.latent).__name__} and "
                f"{type(self.emission).__name__}"
            )
        if self.latent.n_components != self.emission.n_components:
            raise ValueError(
                f"the {self.latent.name} part has {self.latent.n_components} components, "
                f"the {self.emission.name} emission {self.emission.n_components}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # what is cached stays behind

    @property
    def n_components(self) -> int:
        """K."""
        return self.latent.n_components

    @property
    def n_parameters(self) -> int:
        """Free parameters, for AIC and BIC."""
        if self.constraints is None:
            return self.latent.n_parameters + self.emission.n_parameters
        return packing.count(self.latent, self._free) + packing.count(self.emission, self._free)

    @property
    def _free(self) -> dict[str, Array]:
        """The components (K,) that are free, by block; blocks left out are."""
        return {} if self.constraints is None else self.constraints.free(self.emission)

    def pack(self) -> Array:
        """The free parameters as coordinates without bounds, (n_coordinates,): logarithms of what is positive and of
        ratios of probabilities, Cholesky factors of covariances. What is at an edge is infinite."""
        return np.concatenate([packing.pack(part, self._free) for part in (self.latent, self.emission)])

    def unpack(self, coordinates: Array) -> Self:
        """The model with its free parameters at other coordinates (see :meth:`pack`), in the chart of this one.

        Raises ValueError for another number of them.
        """
        at = packing.size(self.latent, self._free)
        size = at + packing.size(self.emission, self._free)
        if np.shape(coordinates) != (size,):
            raise ValueError(f"coordinates has shape {np.shape(coordinates)}, expected {(size,)}")
        latent = packing.unpack(self.latent, coordinates[:at], self._free)
        emission = packing.unpack(self.emission, coordinates[at:], self._free)
        emission = emission if self.constraints is None else self.constraints.grouped(emission)
        return replace(self, latent=latent, emission=emission)

    @property
    def layout(self) -> Layout:
        """Log-likelihood and weight, then the statistics of the latent part, then those of the emission."""
        return self.layouts[0]

    @cached_property
    def layouts(self) -> tuple[Layout, Layout, Layout]:
        """Of the whole, the latent part and the emission."""
        latent, emission = self.latent.layout, self.emission.layout
        blocks = (("loglik", ()), ("weight", ()), ("latent", (latent.size,)), ("emission", (emission.size,)))
        return Layout(blocks, emission.origin), latent, emission

    @property
    def estimate(self) -> str:
        """How the parameters are estimated: "ml", "map" or "vb"."""
        return "ml" if self.prior is None else "map" if self.posterior is None else "vb"

    @cached_property
    def penalty(self) -> float:
        """What the bound has beside the log-likelihood: the log-prior, or minus the divergence of the posterior."""
        if self.prior is None:
            return 0.0
        if self.posterior is None:
            return sum(part.log_prior(self.prior) for part in self._conjugates)
        return -float(sum(q.divergence(self.prior[name]) for name, q in self.posterior.items()))

    @property
    def _conjugates(self) -> tuple[Conjugate, Conjugate]:
        assert isinstance(self.latent, Conjugate) and isinstance(self.emission, ConjugateEmission)
        return self.latent, self.emission

    @cached_property
    def moving(self) -> Latent:
        """The latent part as the E-step reads it."""
        return self.latent if self.posterior is None else self.latent.expected(self.posterior)

    def evaluate(self, batch: Batch) -> Evaluation:
        """Log-densities of the rows as the E-step reads them, and how to accumulate their statistics."""
        if self.posterior is None:
            return self.emission.evaluate(batch)
        assert isinstance(self.emission, ConjugateEmission)
        return self.emission.evaluate_expected(self.posterior, batch)

    def _spec(self, summary: Summary) -> Any:
        if self.posterior is None:
            return self.emission.kernel(summary)
        assert isinstance(self.emission, ConjugateEmission)
        return self.emission.expected(self.posterior, summary)

    def kernel(self, summary: Summary) -> Spec | None:
        """The emission's kernel for data with this summary, kept while the data stay the same."""
        return e_step.kept_kernel(self, summary, self._spec)

    def leaf_rows(self) -> int:
        """Rows of a leaf: a function of family and shape alone, so that the sum never depends on the machine."""
        return self.latent.leaf_rows(self.emission.work)

    # Data

    def source(
        self,
        data: Any,
        lengths: Any = None,
        weights: Any = None,
        labels: Any = None,
        given: Any = None,
        sequence: str | None = None,
        memory: Any = None,
        execute: Execute | None = None,
    ) -> Source:
        """Data as this model reads it, validated; ``given``: covariates (n, P), or one array a sequence;
        ``sequence``, ``memory`` and ``execute``: see :func:`estep.as_source`.

        Columns go by name where both have names; positions count where one has none. Raises ValueError naming what is
        wrong.
        """
        return prepared(read(self, data, lengths, weights, labels, given, sequence, memory, execute), self.emission)

    # Estimation

    def expect(self, batch: Batch, boundary: Boundary | None = None, prune: bool = False) -> Statistics:
        """The E-step of one batch: expected sufficient statistics under this model.

        ``prune``: the components of a mixture with next to no part in a row may be left out of it, where that is
        faster; those with next to no part in any row (:meth:`estep.interface.Latent.underflowed`) then lose digits.
        """
        return e_step.expect(self, batch, boundary, prune)

    def climb(self, batch: Batch, steps: int, prune: bool) -> Climbed | None:
        """Some EM steps by a batch that is all data, in one call; None: they are made one by one."""
        if self.prior is not None or self.constraints is not None or self.beta != 1:
            return None
        return self.latent.climb(self.emission, batch, steps, prune)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The M-step: the model that maximises the bound, given the statistics."""
        return m_step.maximize(self, s)

    def held_as(self, given: Self) -> Self:
        """With what is held as ``given`` has it."""
        if self.constraints is None:
            return self
        latent, emission = self.constraints.as_given((given.latent, given.emission), (self.latent, self.emission))
        return replace(self, latent=latent, emission=self.constraints.grouped(emission))

    def evolve(self, **values: Any) -> Self:
        """The same with other parameters of the same shapes: nothing to check, and the layouts are the same."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, **values)
        for kept in ("_kernel", "penalty", "moving"):
            new.__dict__.pop(kept, None)
        return new

    def tempered(self, beta: float) -> Self:
        """All probabilities to the power ``beta``, for an E-step with flatter posteriors; not for scores."""
        new = replace(self, beta=beta)
        new.__dict__["moving"] = self.moving.tempered(beta)
        return new

    def permuted(self, order: Array) -> Self:
        """With component ``order[k]`` in the place of k.

        Raises ValueError where constraints, a variational posterior or a prior tell components apart.
        """
        if self.posterior is not None:
            raise ValueError(
                "a variational posterior stays in its order: components are put in order for 'ml' and 'map'"
            )
        if self.constraints is not None and (order != np.arange(len(order))).any():
            raise ValueError(
                "fixed parameters and emission_groups name components by number: these stay in their order"
            )
        new = replace(self, latent=self.latent.permuted(order), emission=self.emission.some(order))
        if self.prior is not None and not np.isclose(new.penalty, self.penalty, rtol=1e-9):
            raise ValueError("the prior is another for each component: they stay in its order")
        return new

    def release(self) -> None:
        """Lets go of what is only for E-steps, and is found again where there are more."""
        self.__dict__.pop("_kernel", None)
        self.emission.release()

    # What follows from a log-likelihood

    def aic(self, log_likelihood: float) -> float:
        """Akaike's criterion, lower is better: 2 parameters - 2 log-likelihood."""
        return 2 * self.n_parameters - 2 * log_likelihood

    def aicc(self, log_likelihood: float, n: float) -> float:
        """Akaike's criterion with a term for few rows, lower is better (Hurvich & Tsai 1989); ``n`` as for :meth:`bic`.

        Infinite where n is not above the parameters and one.
        """
        k = self.n_parameters
        return self.aic(log_likelihood) + (2 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf)

    def bic(self, log_likelihood: float, n: float) -> float:
        """Schwarz's criterion, lower is better: parameters log n - 2 log-likelihood.

        ``n``: the weight of the rows that have a value (:attr:`estep.Source.weight_of_values`). Raises ValueError where
        that is none.
        """
        if not n > 0:
            raise ValueError("no row has a value: there is nothing to compare models by")
        return float(self.n_parameters * np.log(n) - 2 * log_likelihood)
