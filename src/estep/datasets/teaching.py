"""The small hidden Markov models that teaching starts from, built from their probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estep.datasets.real import Dataset
from estep.emissions import Categorical
from estep.latents import Chain
from estep.model import Model


@dataclass(frozen=True)
class TeachingModel:
    """A model with names for its hidden states; the symbols' names are ``model.symbols``."""

    model: Model
    states: tuple[str, ...]
    description: str


def _model(start: list[float], trans: list[list[float]], emit: list[list[float]], symbols: tuple[str, ...]) -> Model:
    chain = Chain(startprob=np.array(start), transmat=np.array(trans))
    return Model(chain, Categorical(np.array(emit)), symbols=symbols)


def bottles_and_balls() -> TeachingModel:
    """Two hidden bottles; each step draws a ball, red or green, from one of them."""
    model = _model([0.5, 0.5], [[0.7, 0.3], [0.4, 0.6]], [[0.8, 0.2], [0.3, 0.7]], ("red", "green"))
    return TeachingModel(model, ("A", "B"), "balls drawn with return from one of two bottles that nobody sees")


def prisoners_weather() -> TeachingModel:
    """A prisoner guesses the weather from the guard's shoes, dirty or clean."""
    model = _model([0.5, 0.5], [[0.7, 0.3], [0.4, 0.6]], [[0.9, 0.1], [0.6, 0.4]], ("dirty", "clean"))
    return TeachingModel(model, ("rain", "sun"), "the guard's shoes tell of the weather outside")


def three_states() -> TeachingModel:
    """Three states over the alphabet A, B, C."""
    model = _model(
        [0.4, 0.5, 0.1],
        [[0.6, 0.3, 0.1], [0.1, 0.7, 0.2], [0.3, 0.2, 0.5]],
        [[0.3, 0.2, 0.5], [0.7, 0.1, 0.2], [0.3, 0.6, 0.1]],
        ("A", "B", "C"),
    )
    return TeachingModel(model, ("1", "2", "3"), "three states that emit the letters A, B and C")


def anne() -> TeachingModel:
    """Hears "Anne": phonemes a, n, n, e are read as the states A, n, n, e."""
    model = _model(
        [1 / 3, 1 / 3, 1 / 3],
        [[0.2, 0.6, 0.2], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4]],
        [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]],
        ("a", "n", "e"),
    )
    return TeachingModel(model, ("A", "n", "e"), "phonemes heard with errors, read as the letters of a name")


def load_balls() -> Dataset:
    """20 000 balls drawn from the two bottles: 0 is red, 1 is green.

    Estimates from so many balls still vary by about .1; this sequence was chosen as one that shows the bottles well.
    """
    teaching = bottles_and_balls()
    X, _ = teaching.model.sample(20_000, random_state=25)
    return Dataset(
        "balls",
        X,
        ("ball",),
        ("",),
        "20 000 balls, red or green, drawn from two hidden bottles",
        "drawn from estep.datasets.bottles_and_balls() with random_state=25",
        symbols=teaching.model.symbols,
    )
