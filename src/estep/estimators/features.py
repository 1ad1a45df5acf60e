"""Probabilities of components or states as features of later steps of a pipeline."""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from estep.estimators.attributes import Attributes


class AsFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Attributes):  # type: ignore[misc]
    """``transform`` gives a column for each component, named after the class; ``set_output`` says in what form."""

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fits, then :meth:`transform`; y is ignored."""
        known = {name: fit_params[name] for name in ("lengths", "labels", "given", "sequence") if name in fit_params}
        return self.fit(X, **fit_params).transform(X, **known)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._emission() == "auto" or self._resolved().allows_missing
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_components
