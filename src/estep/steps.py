"""The E-step and the M-step of latent x emission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from estep import kernels
from estep.data.columns import Roles
from estep.data.source import Batch, Source
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.execution.base import Execute
from estep.execution.serial import Serial
from estep.inference.boundaries import Boundaries, Boundary, same_posterior
from estep.interface import Emission, Evaluation, Latent, Notes
from estep.kernels.spec import Spec, dense
from estep.latents import Chain
from estep.latents.independent import underflowed
from estep.parameters import packing
from estep.parameters.constraints import Constraints
from estep.priors import Conjugate, Prior
from estep.statistics import Array, Layout, Statistics
from estep.util.cached import cached_property
from estep.util.numbers import as_numbers

LEAF_WORK = 2**27  # multiply-adds of a leaf, about: some milliseconds; of a chain, an eighth
LEAST_ROWS, LEAF_ROWS = 1024, 65536  # of a leaf, at least and at most
LEAF_CELLS = 2**22  # rows times components of a leaf, at most: as many entries as some arrays have
CHAIN_ROWS = 8192  # of a leaf of a chain, at least
CHAIN_STATES = 2**17  # rows times states of a leaf of a chain, about


@dataclass(frozen=True, eq=False)
class Steps:
    """What estimation asks of a model; :class:`estep.Model` is the whole of it, and says what the fields are."""

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
        return self._layouts[0]

    @cached_property
    def _layouts(self) -> tuple[Layout, Layout, Layout]:
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

    # The E-step and the M-step

    def expect(self, batch: Batch, boundary: Boundary | None = None, prune: bool = False) -> Statistics:
        """The E-step of one batch: expected sufficient statistics under this model.

        ``prune``: the components of a mixture with next to no part in a row may be left out of it, where that is
        faster; those with next to no part in any row (:func:`estep.latents.independent.underflowed`) then lose digits.
        """
        layout, of_latent, of_emission = self._layouts
        s = Statistics.zeros(layout)
        latent = Statistics(of_latent, s["latent"])
        spec, stats, common = self.kernel(batch.summary), s["emission"], 0.0
        if spec is not None and spec.statistics_size != stats.size:
            raise ValueError(f"the data have values that the {self.emission.name} statistics have no room for")
        if spec is not None and spec.shares:
            assert spec.origin is not None and spec.shared is not None
            cross = batch.cross_moments(spec.origin)
            stats[-len(cross) :] = cross
            spec, stats, common = spec.linear, stats[: -len(cross)], float(spec.shared @ cross)
        if spec is not None:
            loglik = self.moving.expect(spec, batch.X, batch, latent, stats, boundary=boundary, prune=prune)
        else:
            evaluation = self.evaluate(batch)
            spec, rows = dense(self.beta * sound(evaluation.log_densities, batch, self.n_components))
            r = np.zeros(rows.shape)
            loglik = self.moving.expect(spec, rows, batch, latent, None, r, boundary)
            evaluation.accumulate(r, Statistics(of_emission, s["emission"]))
        s["loglik"] = loglik + common + batch.weighted_base
        s["weight"] = batch.weight
        return s

    def expect_all(
        self, leaves: list[Batch], boundaries: Boundaries, execute: Execute, prune: bool = False
    ) -> Statistics:
        """The E-step of all leaves; ``boundaries`` are those between them."""

        def once() -> Statistics:
            return execute.add_up(lambda i: self.expect(leaves[i], boundaries.of[i], prune), len(leaves))

        self.kernel(leaves[0].summary)  # or each thread would make its own
        return boundaries.run(
            once, lambda i, back: self._message_pass(leaves[i], boundaries.of[i], back), same_posterior
        )

    def underflowed(self, total: Statistics, summary: Summary) -> bool:
        """Whether statistics of an E-step with ``prune`` components a row may lack digits."""
        spec, weights = self.kernel(summary), self.moving.values().get("weights")
        if weights is None or spec is None or not spec.prunes:
            return False
        return underflowed(weights, total["latent"], float(total["weight"]))

    def _message_pass(self, batch: Batch, boundary: Boundary | None, backward: bool) -> None:
        """Fills the messages of a chunk; ``backward``: those to the left too."""
        unused = Statistics.zeros(self.latent.layout) if backward else None
        self.moving.posterior(*self._densities(batch), batch, unused, boundary=boundary)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The M-step: the model that maximises the bound, given the statistics."""
        _, of_latent, of_emission = self._layouts
        hidden, seen = Statistics(of_latent, s["latent"]), Statistics(of_emission, s["emission"])
        if self.prior is not None:
            return self._learn(hidden, seen)
        if self.constraints is None:
            emission, notes = self.emission.maximize(seen)
            return self._evolve(latent=self.latent.maximize(hidden), emission=emission), notes
        emission, notes = self.constraints.emission(self.emission, seen)
        latent = self.constraints.latent(self.latent, self.latent.maximize(hidden))
        return self._evolve(latent=latent, emission=emission), notes

    def _learn(self, hidden: Statistics, seen: Statistics) -> tuple[Self, Notes]:
        """Prior and statistics are a posterior: its mode, or all of it."""
        assert self.prior is not None
        of_latent, of_emission = self._conjugates
        q = {**of_latent.update(self.prior, hidden), **of_emission.update(self.prior, seen)}
        if self.posterior is None:
            (latent, _), (emission, notes) = of_latent.mode(q), of_emission.mode(q)
            new = self._evolve(latent=latent, emission=emission)
            return new if self.constraints is None else new.held_as(self), notes
        (latent, _), (emission, notes) = of_latent.mean(q), of_emission.mean(q)
        return self._evolve(latent=latent, emission=emission, posterior=q), notes

    def held_as(self, given: Self) -> Self:
        """With what is held as ``given`` has it."""
        if self.constraints is None:
            return self
        latent, emission = self.constraints.as_given((given.latent, given.emission), (self.latent, self.emission))
        return replace(self, latent=latent, emission=self.constraints.grouped(emission))

    def _evolve(self, **values: Any) -> Self:
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

    def complete(self, batch: Batch, states: Array) -> Statistics:
        """The emission's statistics of one batch whose rows come from known states (n,), those of all data."""
        layout, _, of_emission = self._layouts
        s = Statistics.zeros(layout)
        r = np.zeros((len(batch.X), self.n_components))
        weights = 1.0 if batch.row_weights is None else batch.row_weights[batch.own]
        r[np.arange(batch.own.start, batch.own.stop), states[batch.place]] = weights
        self.accumulate(batch, r, Statistics(of_emission, s["emission"]))
        s["weight"] = batch.weight
        return s

    def accumulate(self, batch: Batch, r: Array, s: Statistics) -> None:
        """Adds the emission's statistics of the rows under responsibilities ``r`` (n, K), weights included."""
        spec = self.kernel(batch.summary)
        if spec is None:
            self.evaluate(batch).accumulate(r, s)
        else:
            batch.accumulate(spec, r, s.vector)

    def sample_states(self, source: Source, rng: np.random.Generator, execute: Execute | None = None) -> Array:
        """States (n,) drawn from their posterior given the data; each sequence is held in memory as a whole."""
        states, u = np.empty(len(source), np.int64), rng.random(len(source))
        cuts = source.cuts(self.leaf_rows())

        def work(i: int) -> None:
            batch = source.batch(*cuts[i])
            spec, rows = self._densities(batch)
            states[batch.place] = self.moving.draw(spec, rows, batch, u[batch.place])

        (Serial() if execute is None else execute).each(work, len(cuts))
        return states

    def _densities(self, batch: Batch) -> tuple[Spec, Array]:
        """A kernel and the rows it reads: the batch's own, or their log-densities."""
        spec = self.kernel(batch.summary)
        if spec is not None:
            return spec, batch.X
        return dense(self.beta * sound(self.evaluate(batch).log_densities, batch, self.n_components))

    def kernel(self, summary: Summary) -> Spec | None:
        """The emission's kernel for data with this summary, kept while the data stay the same."""
        return kept_kernel(self, summary, self._spec)

    def release(self) -> None:
        """Lets go of what is only for E-steps, and is found again where there are more."""
        self.__dict__.pop("_kernel", None)
        self.emission.release()

    def leaf_rows(self) -> int:
        """Rows of a leaf: a function of family and shape alone, so that the sum never depends on the machine."""
        rows = LEAF_WORK // (self.emission.work + 3 * self.latent.layout.size)
        if isinstance(self.latent, Chain):  # segments long enough to forget, states of the leaf in the cache
            rows = min(max(rows // 8, CHAIN_ROWS), max(CHAIN_STATES // self.n_components, CHAIN_ROWS), 4 * CHAIN_ROWS)
            return 1 << rows.bit_length() - 1
        return max(LEAST_ROWS, min(rows, LEAF_ROWS, LEAF_CELLS // self.n_components))


def sound(log_densities: Array, batch: Batch, K: int) -> Array:
    """Log-densities (n, K) that are numbers or -inf. Raises ValueError naming the first row of others."""
    logs = as_numbers(log_densities, "the emission's log-densities").astype(np.float64, copy=False)
    if logs.shape != (len(batch.X), K):
        raise ValueError(f"the emission's log-densities have shape {logs.shape}, expected {(len(batch.X), K)}")
    if logs.size and not logs.max() < np.inf:
        row, k = (int(i) for i in np.argwhere(~(logs < np.inf))[0])
        raise ValueError(f"the emission's log-density of row {batch.row(row)} and component {k} is {logs[row, k]}")
    return logs


def kept_kernel(holder: Any, summary: Summary, make: Callable[[Summary], Spec | None]) -> Spec | None:
    """The kernel that ``make`` gives, kept in the holder for the data it was last asked about."""
    kept: tuple[Summary, Spec | None] | None = holder.__dict__.get("_kernel")
    if kept is None or kept[0] is not summary:
        spec = make(summary)
        beta = getattr(holder, "beta", 1.0)
        spec = spec if spec is None or beta == 1 else spec.tempered(beta)
        if spec is not None:
            kernels.prepare(spec)
        kept = summary, spec
        holder.__dict__["_kernel"] = kept
    return kept[1]
