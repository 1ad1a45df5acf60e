"""A fit as a film: the model after each iteration, with the bound growing beneath."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from estep.emissions import Gaussian
from estep.fitting.results import Iteration
from estep.plots.components import ComponentsDisplay
from estep.plots.figure import COLOURS, GREY, new_axes
from estep.plots.states import StatesDisplay

MOST_FRAMES = 120
SUFFIXES = (".gif", ".mp4", ".html")


class Film:
    """A callback that keeps the model of each iteration: ``estimator.set_params(callbacks=[film]).fit(X)``, then
    ``film.write("em.gif", X)``. Of several starts the one that ends highest is shown."""

    def __init__(self) -> None:
        self.starts: dict[int, list[Iteration]] = {}

    def __call__(self, it: Iteration) -> None:
        """Keeps an iteration; one that comes again begins its start anew."""
        own = self.starts.setdefault(it.restart, [])
        del own[next((i for i, known in enumerate(own) if known.iteration >= it.iteration), len(own)) :]
        own.append(it)

    @property
    def best(self) -> list[Iteration]:
        """The iterations of the start that ended highest. Raises ValueError before there are any."""
        if not self.starts:
            raise ValueError("the film has no frames: give it to a fit as callbacks=[film]")
        return max(self.starts.values(), key=lambda own: own[-1].bound)

    def shown(self) -> list[Iteration]:
        """Those that become frames: all, or the first ones and ever fewer of the later ones."""
        own = self.best
        if len(own) <= MOST_FRAMES:
            return own
        at = np.unique(np.geomspace(1, len(own), MOST_FRAMES).round().astype(int)) - 1
        return [own[i] for i in at]

    def write(self, path: Any, X: Any, rate: float = 5, dpi: int = 90, **options: Any) -> Path:
        """Writes a .gif, an .mp4 (with ffmpeg) or a self-contained .html, so many frames a second; ``options`` are
        those of the display (``columns``, ``column``, ``times``).

        Raises ValueError for another name, for models that are not drawn over data, and where ffmpeg is not there.
        """
        target = Path(path)
        if target.suffix not in SUFFIXES:
            raise ValueError(f"{path}: a film's name ends in {', '.join(SUFFIXES)}")
        frames = self.shown()
        model = frames[-1].model
        if not model.latent.sequential and not isinstance(model.emission, Gaussian):
            raise ValueError(f"films are of Gaussian mixtures and of chains, not of {model.emission.name} mixtures")
        top, below = new_axes(7, 6.4, 2, height_ratios=(3, 1))
        from matplotlib import animation

        if target.suffix == ".mp4" and not animation.writers.is_available("ffmpeg"):
            raise ValueError("an .mp4 is written by ffmpeg, which is not there: install it, or write a .gif or .html")

        def draw(i: int) -> None:
            self._frame(frames, i, X, top, below, options)

        film = animation.FuncAnimation(top.figure, draw, len(frames), interval=1000 / rate, init_func=lambda: None)
        if target.suffix == ".html":
            pages = film.to_jshtml(fps=max(1, round(rate)), embed_frames=True, default_mode="once")
            target.write_text(pages, encoding="utf-8")
        else:
            make = animation.PillowWriter if target.suffix == ".gif" else animation.FFMpegWriter
            film.save(str(target), writer=make(fps=max(1, round(rate))), dpi=dpi)
        return target

    def _frame(self, frames: list[Iteration], i: int, X: Any, top: Any, below: Any, options: dict[str, Any]) -> None:
        it, own = frames[i], self.best
        top.clear()
        below.clear()
        title = f"iteration {it.iteration}"
        kind = StatesDisplay if it.model.latent.sequential else ComponentsDisplay
        kind.from_model(it.model, X, ax=top, title=title, **options)
        if not it.model.latent.sequential:
            top.set(**_limits(top))
        bounds = np.array([one.bound for one in own])
        below.plot([one.iteration for one in own], bounds, color=GREY, lw=0.8)
        until = [one for one in own if one.iteration <= it.iteration]
        below.plot([one.iteration for one in until], [one.bound for one in until], color=COLOURS[0], lw=2)
        below.plot(it.iteration, it.bound, "o", color=COLOURS[0])
        low = bounds[min(1, len(bounds) - 1)]
        room = 0.1 * max(bounds.max() - low, 1e-9)
        below.set(xlabel="iteration", ylabel="bound", ylim=(low - room, bounds.max() + room))


def _limits(ax: Any) -> dict[str, Any]:
    """Of axes with rows as marks, the same in every frame."""
    if not ax.collections:
        return {}
    rows = ax.collections[0].get_offsets()
    low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
    room = 0.06 * (high - low)
    return {"xlim": (low[0] - room[0], high[0] + room[0]), "ylim": (low[1] - room[1], high[1] + room[1])}
