"""What is hidden: how the states of the rows hang together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from estep.data.batch import Batch
from estep.interface.emission import Climbed, Emission
from estep.kernels.spec import Spec
from estep.parameters import packing
from estep.parameters.values import Values
from estep.statistics import Array, Layout, Statistics, weighted
from estep.util.numbers import pick

LEAF_WORK = 2**27  # multiply-adds of a leaf, about: some milliseconds; of a chain, an eighth
LEAST_ROWS, LEAF_ROWS = 1024, 65536  # of a leaf, at least and at most
LEAF_CELLS = 2**22  # rows times components of a leaf, at most: as many entries as some arrays have


@dataclass
class Boundary:
    """What a chunk is told, and what it says; all are logs (K,), up to a constant.

    ``left``: the filtered distribution (most probable path: the scores) at the row before. ``right``: the likelihood
    of all that follows (most probable path: 0 for the state that follows, else -inf). None: guessed from the halo.
    ``messages`` (4, K): both as used, then at the chunk's last row what ``left`` means to the next chunk, and at
    its first what ``right`` means to the one before. ``logs``: the kernel works in log space throughout.
    """

    messages: Array
    left: Array | None = None
    right: Array | None = None
    logs: bool = False


@dataclass(frozen=True, eq=False)
class Path:
    """Known states (n,) of rows; ``ends`` (S,) of their sequences, None where rows are independent. ``before``: of a
    chunk, the state of the row before it; ``closes``: whether the last row is that of its sequence."""

    states: Array
    ends: Array | None = None
    before: int | None = None
    closes: bool = True

    def ends_of(self, n: int) -> Array:
        """The ends of the sequences of n rows."""
        return np.array([n], dtype=np.int64) if self.ends is None else self.ends


class Latent(Values, ABC):
    """How the hidden variable moves: independent draws, or a chain."""

    sequential: ClassVar[bool]
    """Whether rows come in sequences, in which their order matters."""

    kind: ClassVar[str]
    """What a model with this latent part is called."""
    unit: ClassVar[str]
    """What one of its components is called."""

    batches: ClassVar[bool] = False
    """Whether several models may be the columns of one kernel call; then it has :meth:`joined`, :meth:`some`,
    :meth:`expect_several` and :meth:`maximize_several`."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The components of several, one after the other."""
        raise NotImplementedError

    def some(self, components: slice | Array) -> Self:
        """Those components alone, of one of the parts joined."""
        raise NotImplementedError

    def expect_several(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        ends: Array,
        s: Statistics,
        responsibilities: Array | None = None,
        prune: bool = False,
    ) -> None:
        """As :meth:`expect` for parts joined, of which each ends before component ``ends[i]``, into the blocks of
        ``s``: "latent", "loglik", one a part, and "emission" unless ``responsibilities`` are asked for."""
        raise NotImplementedError

    def maximize_several(self, total: Array, ends: Array) -> Self:
        """The M-step of parts joined."""
        raise NotImplementedError

    @abstractmethod
    def shown(self) -> list[tuple[str, Array]]:
        """Parameters for a table, each with its heading; component k is row k."""

    @abstractmethod
    def permuted(self, order: Array) -> Self:
        """With component ``order[k]`` in the place of k."""

    @property
    def looks_back(self) -> bool:
        """Whether a filtered distribution that looks negligible may matter for what follows much later."""
        return False

    def leaf_rows(self, work: int) -> int:
        """Rows of a leaf whose emission takes so many multiply-adds a row."""
        rows = LEAF_WORK // (work + 3 * self.layout.size)
        return max(LEAST_ROWS, min(rows, LEAF_ROWS, LEAF_CELLS // self.n_components))

    def underflowed(self, total: Array, weight: float) -> bool:
        """Whether a component that was taken to have part in some rows has next to none by its statistics ``total``, so
        that those of a pruned E-step lack digits."""
        return False

    def reachable(self, before: Array | None) -> Array:
        """The kernels' states that are possible (M,) after those ``before``; None: at the first row."""
        return np.ones(self.n_states, bool)

    @property
    def ordered(self) -> bool:
        """Whether states are passed through from the first to the last."""
        return False

    @abstractmethod
    def rows_apart(self) -> Latent:
        """The same components where each row stands by itself, all alike in weight."""

    @abstractmethod
    def statistics_of(self, occupancy: Array, starts: Array, moves: Array) -> Statistics:
        """The statistics of components that have so many rows (K,), first rows (K,), and moves (K, K)."""

    @abstractmethod
    def log_probability(self, s: Statistics) -> float:
        """The expected log-likelihood of statistics under the parameters that are known."""

    def counts_of(self, s: Statistics) -> dict[str, Array]:
        """The counts behind the parameters that do not follow from others, each in its shape; none where the latent
        part does not say."""
        return {}

    def slopes(self, s: Statistics) -> dict[str, Array]:
        """The derivatives of the expected log-likelihood of statistics by the parameters that do not follow from
        others, each in its shape. Raises NotImplementedError where the latent part does not say."""
        raise NotImplementedError(f"{self.name} latent parts do not say how their likelihood depends on parameters")

    @abstractmethod
    def begin(self, s: Statistics, rng: np.random.Generator) -> Self:
        """Parameters that are not known to start from, given what assignments say."""

    @abstractmethod
    def loosened(self, share: float) -> Self:
        """Probabilities of which that share is spread evenly; structural zeros stay."""

    @property
    @abstractmethod
    def n_components(self) -> int:
        """K. Raises ValueError while parameters are missing."""

    @property
    def n_states(self) -> int:
        """The states of the kernels, of which several may be of one component."""
        return self.n_components

    def components(self, states: Array) -> Array:
        """The components of states (n,) of the kernels; -1 stays."""
        return states

    def by_component(self, p: Array) -> Array:
        """Probabilities (n, K) of the components, from those of the states."""
        return p

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The blocks of the statistics."""

    @abstractmethod
    def start(self, n_components: int) -> Self:
        """Uniform where nothing is given."""

    @abstractmethod
    def posterior(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        s: Statistics | None = None,
        stats: Array | None = None,
        responsibilities: Array | None = None,
        boundary: Boundary | None = None,
        prune: bool = False,
    ) -> Array:
        """The E-step of one batch: the log-likelihood of each unit (row or sequence).

        ``spec`` reads its densities from ``X``. Where given, ``s`` gets the latent's statistics, ``stats`` those of
        the emission behind ``spec``, and ``responsibilities`` (n, K) is filled, weights included, but for the rows of a
        halo. A unit that is impossible has -inf and no responsibilities. A chunk of a sequence comes with its
        ``boundary``; its log-likelihood is that of its rows given all before. ``prune``: see
        :meth:`estep.Model.expect`.
        """

    def expect(
        self,
        spec: Spec,
        X: Array,
        batch: Batch,
        s: Statistics,
        stats: Array | None = None,
        responsibilities: Array | None = None,
        boundary: Boundary | None = None,
        prune: bool = False,
    ) -> float:
        """As :meth:`posterior`: the weighted log-likelihood of the whole batch; what has no weight does not count."""
        return weighted(self.posterior(spec, X, batch, s, stats, responsibilities, boundary, prune), batch.weights)

    def climb(self, emission: Emission, batch: Batch, steps: int, prune: bool) -> Climbed | None:
        """Some EM steps in one call; None: they are made one by one. ``prune``: see :meth:`estep.Model.expect`; they
        end before one that loses digits."""
        return None

    @abstractmethod
    def decode(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> tuple[Array, Array]:
        """The most probable states (n,) of the kernels and their log-probability for each unit."""

    @abstractmethod
    def path_log_probability(self, steps: Array, path: Path) -> Array:
        """log p(rows, states) for each unit; ``steps`` (n,): the log-density of each row given its state."""

    @abstractmethod
    def maximize(self, s: Statistics) -> Self:
        """The M-step. What no row visits keeps its probabilities."""

    @abstractmethod
    def expected(self, q: Mapping[str, Any]) -> Self:
        """What a variational E-step reads: exponentials of the expected log-probabilities under ``q``."""

    @abstractmethod
    def expected_statistics(self, weight: float, n_units: int) -> tuple[Statistics, Array]:
        """About the statistics of rows of that weight in so many units, and how the rows share out, (K,)."""

    @abstractmethod
    def tempered(self, beta: float) -> Self:
        """All probabilities to the power ``beta``; they need not add up to 1."""

    @abstractmethod
    def count(self, path: Path, weights: Array | None, s: Statistics) -> None:
        """Adds the statistics of known states; ``weights`` of rows (n,) or sequences (S,)."""

    @abstractmethod
    def draw(self, spec: Spec, X: Array, batch: Batch, u: Array, boundary: Boundary | None = None) -> Array:
        """States (n,) of the kernels drawn from their posterior given whole sequences, by uniform numbers ``u`` (n,);
        of a chunk given what its ``boundary`` knows."""

    @abstractmethod
    def filter(self, spec: Spec, X: Array, batch: Batch, boundary: Boundary | None = None) -> Array:
        """Probabilities (n, M) of the kernels' states given the rows of their sequence up to there; NaN from an
        impossible row on."""

    @property
    @abstractmethod
    def first(self) -> Array:
        """Probabilities (M,) of the kernels' states at the first row."""

    @property
    def closing(self) -> Array | None:
        """Weights (M,) of the kernels' states at the last row of a sequence; None: all alike."""
        return None

    @abstractmethod
    def following(self, p: Array) -> Array:
        """Probabilities (n, M) of the kernels' states one row after rows that had these."""

    @abstractmethod
    def shares(self) -> Array:
        """The probabilities (K,) of the components, of a chain in the long run. Raises ValueError where there are
        several."""

    def after(self, filtered: Array) -> Array:
        """Probabilities (S, M) of the kernels' states at the next row, given those at the last row of each sequence
        (S, M); zeros where there was none."""
        return np.where(filtered.any(axis=1, keepdims=True), self.following(filtered), self.first)

    def ahead(self, filtered: Array, steps: int) -> Array:
        """Probabilities (S, steps, K) of the components in the next steps, given what :meth:`after` is given
        (Zucchini & MacDonald 2009, section 5.4.2)."""
        out, now = np.empty((len(filtered), steps, self.n_components)), self.after(filtered)
        for h in range(steps):
            out[:, h] = self.by_component(now)
            now = self.following(now)
        return out

    def draw_ahead(self, filtered: Array, steps: int, rng: np.random.Generator) -> Array:
        """Components (S, steps) drawn for the next steps, given what :meth:`after` is given."""
        out, moves = np.empty((len(filtered), steps), np.int64), self.following(np.eye(self.n_states))
        states = pick(self.after(filtered), rng.random(len(filtered)))
        for h in range(steps):
            out[:, h] = self.components(states)
            states = pick(moves[states], rng.random(len(states)))
        return out

    @abstractmethod
    def likelihood_ahead(self, logs: Array, ends: Array, lag: int) -> Array:
        """Likelihood (n, M) of the next ``lag`` rows of each row's sequence given its state, up to a constant a row;
        ``logs`` (n, M): the log-densities of the rows, ``ends`` (S,) of the sequences."""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draws the components of n steps, (n,)."""

    @property
    def n_parameters(self) -> int:
        """Free parameters: probabilities that are structural zeros are not counted."""
        return packing.count(self)
