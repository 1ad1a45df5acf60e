"""A model, as what works on it knows it: :class:`estep.Model` is one, and some questions take several at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.interface.emission import Climbed, Emission, Notes
from estep.interface.latent import Boundary, Latent
from estep.kernels.spec import Spec
from estep.statistics import Array, Layout, Statistics


class AnyModel(Protocol):
    """Latent x emission, with what estimation adds."""

    @property
    def latent(self) -> Latent:
        """What is hidden."""

    @property
    def emission(self) -> Emission:
        """What is seen."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the data, covariates first."""

    @property
    def symbols(self) -> tuple[Any, ...]:
        """Names of symbols."""

    @property
    def roles(self) -> Any:
        """Columns that are no features."""

    @property
    def moving(self) -> Latent:
        """The latent part as the E-step reads it."""

    @property
    def prior(self) -> Mapping[str, Any] | None:
        """Priors of blocks by name."""

    @property
    def posterior(self) -> Mapping[str, Any] | None:
        """What they have become."""

    @property
    def constraints(self) -> Any:
        """Parameters that stay as they are."""

    @property
    def beta(self) -> float:
        """The power of all densities in the E-step."""

    @property
    def n_components(self) -> int:
        """K."""

    @property
    def layout(self) -> Layout:
        """Log-likelihood and weight, then the statistics of the latent part, then those of the emission."""

    @property
    def layouts(self) -> tuple[Layout, Layout, Layout]:
        """Of the whole, the latent part and the emission."""

    @property
    def penalty(self) -> float:
        """What the bound has beside the log-likelihood."""

    def kernel(self, summary: Summary) -> Spec | None:
        """The emission's kernel for data with this summary."""

    def leaf_rows(self) -> int:
        """Rows of a leaf."""

    def expect(self, batch: Batch, boundary: Boundary | None = None, prune: bool = False) -> Statistics:
        """The E-step of one batch."""

    def climb(self, batch: Batch, steps: int, prune: bool) -> Climbed | None:
        """Some EM steps in one call; None: they are made one by one."""

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        """The M-step."""

    def tempered(self, beta: float) -> Self:
        """All probabilities to the power ``beta``."""

    def held_as(self, given: Self) -> Self:
        """With what is held as ``given`` has it."""

    def evolve(self, **values: Any) -> Self:
        """The same with other parts of the same shapes."""

    def release(self) -> None:
        """Lets go of what is only for E-steps."""

    def source(
        self,
        data: Any,
        lengths: Any = None,
        weights: Any = None,
        labels: Any = None,
        given: Any = None,
        sequence: str | None = None,
        memory: Any = None,
        execute: Any = None,
    ) -> Any:
        """Data as this model reads it, validated."""

    def score_units(self, data: Any, lengths: Any = None, execute: Any = None, **reading: Any) -> Array:
        """Log-likelihood of each row or sequence."""

    def evaluate(self, batch: Batch) -> Any:
        """Log-densities of the rows as the E-step reads them, and how to accumulate their statistics."""
