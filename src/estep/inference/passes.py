"""What an algorithm may ask of the data: E-steps over all of it, over a block of it, and with other posteriors.

A *rule* says which posterior. None: the exact one. ``Tempered(beta)``: every probability to the power beta, which
flattens it. ``Best()``: all on the most probable states. ``Sampled(rng)``: all on states drawn from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estep.data.source import Source
from estep.execution.base import Execute
from estep.inference.climb import Climb
from estep.inference.complete import complete
from estep.inference.decode import paths
from estep.inference.driver import Driver
from estep.inference.e_step import EStep
from estep.inference.impossible import raise_impossible
from estep.inference.sample import draw_paths
from estep.interface import AnyModel
from estep.statistics import Statistics
from estep.util.cached import cached_property

BLOCKS = 64  # at most, as many vectors of statistics may be kept
SHARES = 16  # blocks of small data
LEAST = 64  # rows of a block, about
LARGE = 2**17  # numbers of statistics from which on what an E-step keeps is let go after it
TRUST = 3  # E-steps with few components a row that may have to be done again; calls for some steps that make none
AHEAD = 8  # steps that are made in one call


@dataclass(frozen=True)
class Tempered:
    """All probabilities to the power ``beta``, from 0 (all states alike) to 1 (the posterior itself)."""

    beta: float

    def __post_init__(self) -> None:
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta is {self.beta!r}: it is above 0, and 1 at most")


@dataclass(frozen=True)
class Best:
    """The most probable states: each row's own for a mixture, the Viterbi path for a chain."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """States drawn from the posterior; a chain's path is drawn as a whole."""

    rng: np.random.Generator


Rule = Tempered | Best | Sampled


class Passes:
    """E-steps over one source; ``count`` says how many times the data have been read."""

    def __init__(self, source: Source, leaf_rows: int, execute: Execute) -> None:
        self.source, self.execute, self.count = source, execute, 0.0
        self._leaf_rows = leaf_rows
        self._leaves = source.leaves(leaf_rows)
        self._driver = Driver(self._leaves, execute)
        self._trust = self._hope = TRUST

    @property
    def weight(self) -> float:
        """The weight of all rows."""
        return self.source.summary.weight

    def expect(self, model: Any, rule: Rule | None = None) -> Statistics:
        """The statistics of all data under ``model``, a Model or (exact only) several at once.

        ``loglik`` is the bound: the log-likelihood (of the states too for ``Best`` and ``Sampled``, of the tempered
        model for ``Tempered``) and the model's ``penalty``. Raises ValueError where data are impossible under the
        model, naming the place.
        """
        total = self._possible(model, self._expect(model, rule))
        total["loglik"] += model.penalty
        if len(total.vector) > LARGE:
            model.release()
        return total

    @property
    def learned(self) -> Any:
        """What it has learned on the way, and how often it has read the data: what a checkpoint keeps."""
        blocks = [driver.learned for driver, _ in self._blocks] if "_blocks" in self.__dict__ else None
        return self._trust, self._hope, self.count, self._driver.learned, blocks

    @learned.setter
    def learned(self, known: Any) -> None:
        self._trust, self._hope, self.count, self._driver.learned, blocks = known
        for (driver, _), one in zip(self._blocks if blocks else (), blocks or (), strict=True):
            driver.learned = one

    def climb(self, model: AnyModel) -> Climb | None:
        """Some EM steps from ``model`` in one call, where the data are small and nothing has to be decided between
        them; else None. Each is a pass when it is taken."""
        if len(self._leaves) > 1 or not self._hope:
            return None
        leaf = self._leaves[0]
        found = model.climb(leaf, AHEAD, bool(self._trust))
        made = found is not None and len(found.loglik) > 0
        self._hope = TRUST if made else self._hope - 1
        return Climb(model, found, leaf.weighted_base, self._read) if found is not None and made else None

    def _read(self) -> None:
        self.count += 1

    def _expect(self, model: Any, rule: Rule | None) -> Statistics:
        self.count += 1
        if rule is None:
            return self._pruned(model, self._driver)
        if isinstance(rule, Tempered):
            return self._pruned(model.tempered(rule.beta), Driver(self._leaves, self.execute))
        if isinstance(rule, Best):
            states, logprob = paths(model, self.source, self.execute)
            raise_impossible(model, self.source, logprob)
        else:
            states = draw_paths(model, self.source, int(rule.rng.integers(2**63)), self.execute)
        self.count += 1
        return complete(model, states, self.source, self._leaves, self.execute)

    def _pruned(self, model: Any, driver: Driver) -> Statistics:
        """The E-step of a driver's leaves with few components a row, and with all where that loses digits: after some
        times (components may have a weight that is given, and no rows) at once."""
        if self._trust:
            total = driver.add(EStep(model, prune=True))
            if not self._underflowed(model, total):
                return total
            self._trust -= 1
        return driver.add(EStep(model))

    def _underflowed(self, model: AnyModel, total: Statistics) -> bool:
        """Whether statistics of a pruned E-step may lack digits."""
        spec = model.kernel(self.source.summary)
        pruned = spec is not None and spec.prunes
        return pruned and model.moving.underflowed(total["latent"], float(total["weight"]))

    # Blocks

    @property
    def n_blocks(self) -> int:
        """Blocks of rows, or of whole sequences, that :meth:`expect_block` takes by themselves; alike in size."""
        return len(self._blocks)

    def expect_block(self, model: Any, i: int) -> Statistics:
        """The statistics of block ``i`` alone."""
        driver, weight = self._blocks[i]
        self.count += weight / self.weight
        return self._possible(model, self._pruned(model, driver))

    def _possible(self, model: Any, total: Statistics) -> Statistics:
        impossible = np.asarray(total["loglik"] == -np.inf)
        if impossible.any():
            one = model.model(int(impossible.argmax())) if impossible.ndim else model
            raise_impossible(one, self.source, one.score_units(self.source))
        return total

    @cached_property
    def _blocks(self) -> list[tuple[Driver, float]]:
        """A driver of its leaves and their weight, for each block that has any."""
        rows = min(self._leaf_rows, max(len(self.source) // SHARES, LEAST))
        leaves = self.source.leaves(rows)
        share = -(-len(leaves) // BLOCKS)
        parts: list[list[int]] = []
        for i, cell in enumerate(leaves.cells):
            if parts and (not cell.begins or len(parts[-1]) < share):
                parts[-1].append(i)
            else:
                parts.append([i])
        blocks = [(Driver(leaves.some(part), self.execute), sum(map(leaves.weight, part))) for part in parts]
        return [block for block in blocks if block[1] > 0]
