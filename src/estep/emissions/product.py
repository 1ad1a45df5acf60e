"""Tables whose columns are of different kinds: each kind has a family of its own, independent given the state.

``Product({"age": Gaussian(), ("x", "y"): Gaussian("full"), "visits": Poisson(), "job": Categorical()})``: keys are
columns, by name or by number, or several of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from estep.data.batch import Batch
from estep.data.forms import as_symbols
from estep.data.source import Source
from estep.data.summary import Summary
from estep.emissions._shared.conjugate import ConjugateEmission
from estep.emissions._shared.rows import kernel_evaluation
from estep.emissions._shared.tables import Key, as_key, label_of, of_part
from estep.emissions.categorical import Categorical
from estep.interface import Emission, Evaluation, Margin, Notes
from estep.kernels.spec import Spec, product
from estep.parameters.domains import Parameter
from estep.priors import Prior
from estep.statistics import Array, Layout, Statistics


@dataclass(frozen=True, eq=False)
class Product(ConjugateEmission):
    """``parts``: a mapping of columns to families, kept as pairs of columns and family.

    Parameters are shown by column and name: ``values()["age.means"]``, for several columns ``"x+y.means"``. Priors too.
    """

    parts: Any

    name: ClassVar[str] = "product"
    parameters: ClassVar[tuple[str, ...]] = ()
    can_fix_subset: ClassVar[bool] = True

    def __post_init__(self) -> None:
        pairs = list(self.parts.items()) if isinstance(self.parts, Mapping) else list(self.parts)
        if not pairs:
            raise ValueError("a product wants at least one column: Product({'age': Gaussian()})")
        keyed = [(as_key(columns), family) for columns, family in pairs]
        parts = tuple(  # symbols come one column at a time
            part
            for columns, family in keyed
            for part in ([((c,), family) for c in columns] if isinstance(family, Categorical) else [(columns, family)])
        )
        for columns, family in parts:
            if not isinstance(family, Emission) or isinstance(family, Product):
                raise ValueError(f"the family of {label_of(columns)} is {family!r}: give one such as Gaussian()")
        flat = [c for columns, _ in parts for c in columns]
        if len(set(flat)) < len(flat):
            twice = next(c for c in flat if flat.count(c) > 1)
            raise ValueError(f"column {twice!r} has two families")
        labels = [label_of(columns) for columns, _ in parts]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise ValueError(f"two parts are called {twice!r}: rename a column")
        object.__setattr__(self, "parts", parts)

    @property
    def families(self) -> tuple[Emission, ...]:
        return tuple(family for _, family in self.parts)

    def check_names(self, columns: Sequence[str], symbols: Sequence[Any]) -> None:
        families: dict[str, Emission] = {}
        if columns:
            places = self.places(columns, len(columns))
            families = {columns[d]: f for (_, f), place in zip(self.parts, places, strict=True) for d in place}
        if len({column for column, _ in symbols}) < len(symbols):
            raise ValueError("symbols names a column twice")
        for column, texts in symbols:
            M = families[column].symbols_read if column in families else None
            if M is None:
                raise ValueError(f"symbols names column {column!r}, which has none")
            if len(texts) != M or len(set(texts)) < len(texts):
                raise ValueError(f"column {column!r} has {len(set(texts))} names of symbols, the model has {M}")

    def _with(self, families: Sequence[Emission]) -> Self:
        return self.evolve(parts=tuple((c, f) for (c, _), f in zip(self.parts, families, strict=True)))

    def _labelled(self) -> list[tuple[str, Emission]]:
        return [(label_of(columns), family) for columns, family in self.parts]

    def values(self) -> dict[str, Array | None]:
        return {f"{label}.{n}": v for label, family in self._labelled() for n, v in family.values().items()}

    def with_values(self, **values: Any) -> Self:
        shared = {name: value for name, value in values.items() if name in self.values()}
        if unknown := sorted(set(values) - set(shared)):
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(self.values())}")
        return self._with([f.with_values(**of_part(label, values)) for label, f in self._labelled()])

    @property
    def rows(self) -> Literal["real", "symbols", "table"]:
        return "table"

    @property
    def n_components(self) -> int:
        K = self.families[0].n_components
        for label, family in self._labelled():
            if family.n_components != K:
                raise ValueError(f"the part of {label} has {family.n_components} components, the first has {K}")
        return K

    @property
    def n_columns(self) -> int:
        return sum(len(columns) for columns, _ in self.parts)

    @property
    def keeps_place(self) -> bool:
        return all(family.keeps_place for family in self.families)

    def comparable(self, summary: Summary) -> Self:
        return self._with([f.comparable(s) for f, s in zip(self.families, self._cut(summary), strict=True)])

    def describe(self) -> dict[str, Parameter]:
        return {f"{label}.{n}": p for label, family in self._labelled() for n, p in family.describe().items()}

    def supports(self) -> dict[str, Array]:
        return {f"{label}.{n}": mask for label, family in self._labelled() for n, mask in family.supports().items()}

    def with_supports(self, masks: Mapping[str, Array]) -> Self:
        return self._with([family.with_supports(of_part(label, masks)) for label, family in self._labelled()])

    @property
    def smoothed(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{label}.{name}" for label, family in self._labelled() for name in family.smoothed)

    @property
    def allows_missing(self) -> bool:  # type: ignore[override]
        return all(family.allows_missing for family in self.families)

    @property
    def counts_missing(self) -> bool:
        return any(family.counts_missing for family in self.families)

    @property
    def unregularised(self) -> bool:
        return all(family.unregularised for family in self.families)

    @property
    def maximizes(self) -> bool:
        return all(family.maximizes for family in self.families)

    @property
    def rounding(self) -> float:
        return sum(family.rounding for family in self.families)

    @property
    def work(self) -> int:
        return sum(family.work for family in self.families)

    @property
    def layout(self) -> Layout:
        """The statistics of the families, one after the other."""
        layouts = [family.layout for family in self.families]
        origin = tuple(x for layout in layouts for x in layout.origin)
        return Layout(tuple((f"part{i}", (layout.size,)) for i, layout in enumerate(layouts)), origin)

    def _statistics(self, s: Statistics) -> list[Statistics]:
        return [Statistics(f.layout, s[f"part{i}"]) for i, f in enumerate(self.families)]

    # Rows: each part's columns as that family prepares them, side by side

    @property
    def preparation(self) -> str:
        return "product of " + ", ".join(f"{label}: {family.name}" for label, family in self._labelled())

    def places(self, names: Sequence[str], n: int) -> list[list[int]]:
        """Where each part's columns are. Raises ValueError naming one that is not there."""
        out = []
        for columns, _ in self.parts:
            where = []
            for c in columns:
                if isinstance(c, str) and c not in names:
                    raise ValueError(
                        f"the data have no column {c!r}; they have {', '.join(names) or f'{n} without names'}"
                    )
                if not isinstance(c, str) and not 0 <= c < n:
                    raise ValueError(f"the data have no column {c}; they have {n}")
                where.append(names.index(c) if isinstance(c, str) else c)
            out.append(where)
        flat = [d for where in out for d in where]
        if len(set(flat)) < len(flat):
            d = next(d for d in flat if flat.count(d) > 1)
            raise ValueError(f"column {names[d] if names else d!r} has two families, by its name and by its number")
        return out

    def reading(self, source: Source) -> Source:
        self.check_symbols(source.columns, [column for column, _ in source.symbols])
        n = source.X.shape[1]
        read = sorted(d for place in self.places(source.columns, n) for d in place)
        return source.reading(read) if len(read) < n else source

    def check_symbols(self, names: Sequence[str], texts: Sequence[str]) -> None:
        """Raises ValueError naming a column of texts whose family does not read symbols."""
        for (_, family), place in zip(self.parts, self.places(names, len(names)), strict=True) if texts else ():
            for d in place:
                if names[d] in texts and family.rows != "symbols":
                    raise ValueError(f"column {names[d]!r} is text; {family.name} wants numbers: give it Categorical()")

    def _raw(self, X: Array, summary: Summary) -> list[tuple[Emission, Array, Summary]]:
        """Each family with its columns as it wants them, and their summary."""
        out: list[tuple[Emission, Array, Summary]] = []
        for family, place in zip(self.families, self.places(summary.columns, X.shape[1]), strict=True):
            own = (
                as_symbols(X[:, place], " of a column of symbols")
                if family.rows == "symbols"
                else np.ascontiguousarray(X[:, place])
            )
            out.append((family, own, summary.some(place)))
        return out

    def prepare(self, X: Array, summary: Summary) -> tuple[Array, Array | None]:
        columns, base = [], None
        for family, own, found in self._raw(X.astype(np.float64, copy=False), summary):
            rows, more = family.prepare(own, found) if family.preparation else (own, None)
            columns.append(rows.astype(np.float64, copy=False))
            base = more if base is None else base if more is None else base + more
        return np.hstack(columns), base

    def validate(self, batch: Batch) -> None:
        for (label, _), (family, own, found) in zip(self._labelled(), self._raw(batch.X, batch.summary), strict=True):
            try:
                family.validate(replace(batch, X=own, weights=None, ends=None, halo=None, summary=found))
            except ValueError as error:
                raise ValueError(f"{error} (columns {label})") from None

    def check_prepared(self, summary: Summary) -> None:
        for family, own in zip(self.families, self._cut(summary), strict=True):
            if family.preparation:
                family.check_prepared(own)

    def _cut(self, summary: Summary) -> list[Summary]:
        """The summaries of the families' prepared rows."""
        parts, at = [], 0
        for columns, family in self.parts:
            width = family.n_prepared(len(columns), summary.missing)
            parts.append(summary.some(slice(at, at + width)))
            at += width
        return parts

    def _batches(self, batch: Batch) -> list[Batch]:
        out, at = [], 0
        for (_, family), own in zip(self.parts, self._cut(batch.summary), strict=True):
            X = batch.X[:, at : at + len(own.mean)]
            X = X.astype(np.int32) if family.tabulated else np.ascontiguousarray(X)
            out.append(Batch(X, batch.weights, batch.ends, batch.first_row, batch.first_sequence, own, batch.halo))
            at += len(own.mean)
        return out

    def clustering_features(self, X: Array, summary: Summary) -> Array:
        at, out = 0, []
        for family, own in zip(self.families, self._cut(summary), strict=True):
            out.append(family.clustering_features(X[:, at : at + len(own.mean)], own))
            at += len(own.mean)
        return np.hstack(out)

    def start(self, n_components: int, summary: Summary) -> Self:
        return self._with([f.start(n_components, s) for f, s in zip(self.families, self._cut(summary), strict=True)])

    def adapt(self, summary: Summary) -> Self:
        return self._with([f.adapt(s) for f, s in zip(self.families, self._cut(summary), strict=True)])

    def kernel(self, summary: Summary) -> Spec | None:
        return _together([f.kernel(s) for f, s in zip(self.families, self._cut(summary), strict=True)])

    def evaluate(self, batch: Batch) -> Evaluation:
        spec = self.kernel(batch.summary)
        if spec is not None:
            return kernel_evaluation(spec, batch)
        return self._sum([f.evaluate(b) for f, b in zip(self.families, self._batches(batch), strict=True)])

    def _sum(self, parts: Sequence[Evaluation]) -> Evaluation:
        def accumulate(r: Array, s: Statistics) -> None:
            for part, own in zip(parts, self._statistics(s), strict=True):
                part.accumulate(r, own)

        shapes = {np.shape(part.log_densities) for part in parts}
        if len(shapes) > 1:
            raise ValueError(f"the log-densities of the parts have shapes {', '.join(map(str, sorted(shapes)))}")
        return Evaluation(np.sum([part.log_densities for part in parts], axis=0), accumulate)

    # Estimating: each family for itself

    def _each(self, results: Sequence[tuple[Emission, Notes]]) -> tuple[Self, Notes]:
        notes = [
            (k, f"{label}: {text}")
            for (label, _), (_, some) in zip(self._labelled(), results, strict=True)
            for k, text in some
        ]
        return self._with([family for family, _ in results]), tuple(notes)

    def maximize(self, s: Statistics) -> tuple[Self, Notes]:
        return self._each([f.maximize(own) for f, own in zip(self.families, self._statistics(s), strict=True)])

    def maximize_holding(self, s: Statistics, held: Mapping[str, Array]) -> tuple[Self, Notes]:
        results = []
        for (label, family), own in zip(self._labelled(), self._statistics(s), strict=True):
            mine = of_part(label, held)
            results.append(family.maximize_holding(own, mine) if mine else family.maximize(own))
        return self._each(results)

    def check_holding(self, held: Mapping[str, Array], with_prior: bool) -> None:
        if with_prior:
            return super().check_holding(held, with_prior)
        for label, family in self._labelled():
            if mine := of_part(label, held):
                family.check_holding(mine, with_prior)

    def pooled(self, s: Statistics, groups: Array) -> Statistics:
        parts = [f.pooled(own, groups).vector for f, own in zip(self.families, self._statistics(s), strict=True)]
        return Statistics(s.layout, np.concatenate(parts))

    def slopes(self, s: Statistics) -> dict[str, Array]:
        parts = zip(self._labelled(), self._statistics(s), strict=True)
        return {f"{label}.{n}": slope for (label, f), own in parts for n, slope in f.slopes(own).items()}

    def sample(self, states: Array, rng: np.random.Generator) -> Array:
        """Part after part; :func:`estep.emissions._shared.tables.as_table` gives the order of the data."""
        return np.hstack([family.sample(states, rng) for family in self.families]).astype(np.float64)

    def margins(self, rows: Array | None = None) -> Sequence[Margin] | None:
        found = [family.margins(own) for family, own in zip(self.families, self._apart(rows), strict=True)]
        return None if any(one is None for one in found) else [m for one in found for m in one or ()]

    def check_draws(self, rows: Array) -> None:
        for family, own in zip(self.families, self._apart(rows), strict=True):
            family.check_draws(own)

    def of_columns(self, columns: Sequence[int]) -> Self:
        """Columns by number are counted anew."""
        keys = [(i, c) for i, (key, _) in enumerate(self.parts) for c in key]
        chosen = [keys[d] for d in columns]
        numbers = {c: n for n, c in enumerate(sorted(c for _, c in chosen if not isinstance(c, str)))}
        parts: dict[Key, Emission] = {}
        for i, (key, family) in enumerate(self.parts):
            own = [c for j, c in chosen if j == i]
            if own:
                kept = family if own == list(key) else family.of_columns([key.index(c) for c in own])
                parts[tuple(numbers.get(c, c) for c in own)] = kept
        return type(self)(parts)

    def fill(self, rows: Array, states: Array, rng: np.random.Generator) -> Array:
        parts = zip(self.families, self._apart(rows), strict=True)
        return np.hstack([family.fill(own, states, rng) for family, own in parts])

    def _apart(self, rows: Array | None) -> Sequence[Any]:
        """The columns of each part, of rows that have them part after part."""
        cuts = np.cumsum([len(columns) for columns, _ in self.parts])[:-1]
        return [None] * len(self.parts) if rows is None else np.split(rows, cuts, axis=1)

    # Priors

    @property
    def blocks(self) -> Mapping[str, tuple[type[Prior], ...]]:
        parts = [(label, f.blocks if isinstance(f, ConjugateEmission) else {}) for label, f in self._labelled()]
        if not all(blocks for _, blocks in parts):
            return {}
        return {f"{label}.{name}": kinds for label, blocks in parts for name, kinds in blocks.items()}

    def _conjugates(self) -> list[tuple[str, ConjugateEmission]]:
        return [(label, f) for label, f in self._labelled() if isinstance(f, ConjugateEmission)]

    def default_prior(self, summary: Summary, variational: bool) -> dict[str, Prior]:
        parts = zip(self._conjugates(), self._cut(summary), strict=True)
        return {f"{label}.{n}": one for (label, f), s in parts for n, one in f.default_prior(s, variational).items()}

    def check_prior(self, prior: Mapping[str, Any]) -> dict[str, Prior]:
        return {
            f"{lb}.{n}": one for lb, f in self._conjugates() for n, one in f.check_prior(of_part(lb, prior)).items()
        }

    def update(self, prior: Mapping[str, Any], s: Statistics) -> dict[str, Prior]:
        parts = zip(self._conjugates(), self._statistics(s), strict=True)
        return {f"{lb}.{n}": q for (lb, f), own in parts for n, q in f.update(of_part(lb, prior), own).items()}

    def mode(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        return self._each([f.mode(of_part(label, q)) for label, f in self._conjugates()])

    def mean(self, q: Mapping[str, Any]) -> tuple[Self, Notes]:
        return self._each([f.mean(of_part(label, q)) for label, f in self._conjugates()])

    def log_prior(self, prior: Mapping[str, Any]) -> float:
        return sum(f.log_prior(of_part(label, prior)) for label, f in self._conjugates())

    def expected(self, q: Mapping[str, Any], summary: Summary) -> Spec | None:
        parts = zip(self._conjugates(), self._cut(summary), strict=True)
        return _together([f.expected(of_part(label, q), s) for (label, f), s in parts])

    def evaluate_expected(self, q: Mapping[str, Any], batch: Batch) -> Evaluation:
        spec = self.expected(q, batch.summary)
        if spec is not None:
            return kernel_evaluation(spec, batch)
        parts = zip(self._conjugates(), self._batches(batch), strict=True)
        return self._sum([f.evaluate_expected(of_part(label, q), own) for (label, f), own in parts])

    def expected_statistics(self, mass: Array) -> Statistics:
        return Statistics(
            self.layout, np.concatenate([f.expected_statistics(mass).vector for _, f in self._conjugates()])
        )


def _together(parts: Sequence[Spec | None]) -> Spec | None:
    found = tuple(part for part in parts if part is not None)
    return product(found) if len(found) == len(parts) else None
