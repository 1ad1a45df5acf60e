"""Families with conjugate priors: they can be estimated by maximum a posteriori and by variational Bayes too."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from estep.data.batch import Batch
from estep.data.summary import Summary
from estep.interface import Emission, Evaluation
from estep.kernels.spec import Spec
from estep.priors import Conjugate
from estep.statistics import Array, Statistics


class ConjugateEmission(Emission, Conjugate):
    """An emission whose blocks of parameters have conjugate priors."""

    @abstractmethod
    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec | None:
        """The kernel of the expected log-densities under the posteriors ``q``; None: there is none for such data."""

    @abstractmethod
    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        """As ``evaluate``, with expected log-densities under the posteriors ``q``."""

    @abstractmethod
    def expected_statistics(self, mass: Array) -> Statistics:
        """The expected statistics of ``mass`` (K,) rows under these parameters."""
