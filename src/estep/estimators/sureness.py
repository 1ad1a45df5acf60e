"""How sure a fit is of its parameters."""

from __future__ import annotations

from typing import Any

from estep.algorithms import make_algorithm
from estep.estimators.attributes import Attributes
from estep.fitting.bootstrap import Bootstrap, bootstrap
from estep.fitting.standard_errors import Uncertainty, uncertainty
from estep.fitting.stopping import Stop
from estep.inference.reading import read
from estep.statistics import Array
from estep.util.streams import as_seed


class Sureness(Attributes):
    """Questions about the parameters. Each takes the data of the fit as ``fit`` does, with ``lengths`` for a chain, and
    what is known of them (``labels``, ``given``, ``sequence``) by their names there."""

    def standard_errors(
        self, X: Any, lengths: Any = None, *, sample_weight: Any = None, **known: Any
    ) -> dict[str, Array]:
        """The standard error of each parameter, by the name of its attribute without underscore, in its shape.

        From the observed information: central differences of the exact score, in coordinates without bounds, and back
        by the delta method (see :mod:`estep.fitting.standard_errors`). NaN where a parameter is fixed, a structural
        zero, at an edge or not identified, which a warning names. With ``estimate="map"``: of the posterior's curvature
        at its mode. Raises ValueError for a variational fit.
        """
        return self._named(self._uncertainty(X, lengths, sample_weight, known).standard_errors())

    def confidence_intervals(
        self, X: Any, level: float = 0.95, lengths: Any = None, *, sample_weight: Any = None, **known: Any
    ) -> dict[str, tuple[Array, Array]]:
        """(lower, upper) of each parameter, by the name of its attribute without underscore, each in its shape.

        Normal on the scale of logarithms for what is positive, of log-odds for probabilities.
        """
        return self._named(self._uncertainty(X, lengths, sample_weight, known).intervals(level))

    def bootstrap(
        self,
        X: Any,
        n_replicates: int = 200,
        lengths: Any = None,
        *,
        kind: str | None = None,
        random_state: Any = None,
        sample_weight: Any = None,
        **known: Any,
    ) -> Bootstrap:
        """Refits to data drawn again, components put in the order of this fit's: ``standard_errors()``, ``intervals()``
        and the ``replicates`` of each parameter.

        ``kind``: "rows" of a mixture, "sequences" of a chain, or "parametric", drawn from the model, which is the
        default for a chain of fewer than ten sequences. Each fit goes on from this one. An interrupt returns those
        there are.
        """
        model = self.to_model()
        raw = read(model, X, lengths, sample_weight, memory=self.memory, execute=self.execute, **known)
        rule = Stop(self.tol, self.max_iter, self.stop_rule, self.reseeds, None)
        seed = as_seed(self.random_state if random_state is None else random_state)
        found = bootstrap(model, raw, n_replicates, kind, seed, make_algorithm(self.algorithm), rule, self._execute())
        return Bootstrap(found.model, found.kind, self._named(found.replicates), found.failed)

    def _uncertainty(self, X: Any, lengths: Any, weights: Any, known: dict[str, Any]) -> Uncertainty:
        self._check_known(known)
        known = {**known, "memory": self.memory}
        execute = self._execute()
        return uncertainty(self.to_model(), X, lengths, weights, execute, **known)

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        return {self._argument(name): value for name, value in values.items()}
