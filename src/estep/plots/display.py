"""What all displays have: numbers first, the picture after."""

from __future__ import annotations

from typing import Any, Self

from estep.statistics import Array


def beside(data: dict[str, Array], own: dict[str, Array]) -> dict[str, Array]:
    """Columns of the data and a display's own; a column of the data that is called as one of these is NAME (data)."""
    return {f"{name} (data)" if name in own else name: values for name, values in data.items()} | own


SHOWN = 90
"""Dots an inch in a notebook."""


class Display:
    """``frame``: the numbers that are drawn, by column. ``ax_``, ``figure_``: where they were drawn last."""

    frame: dict[str, Array]
    ax_: Any
    figure_: Any

    def to_frame(self) -> Any:
        """The numbers as a pandas data frame."""
        from estep.data.columns import frame_like

        return frame_like(None, self.frame)

    def plot(self, ax: Any = None) -> Self:
        """Draws on ``ax``, or on a new figure."""
        raise NotImplementedError

    @classmethod
    def from_estimator(cls, estimator: Any, *known: Any, **options: Any) -> Self:
        """As ``from_model``, by scikit-learn's name."""
        return cls.from_model(estimator, *known, **options)

    @classmethod
    def from_model(cls, fitted: Any, *known: Any, **options: Any) -> Self:
        """Of an estimator or a Model."""
        raise NotImplementedError

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows, where pyplot does not show the figure itself."""
        import sys
        from io import BytesIO

        figure, pyplot = getattr(self, "figure_", None), sys.modules.get("matplotlib.pyplot")
        if figure is None or (pyplot is not None and figure.number in pyplot.get_fignums()):
            return None
        out = BytesIO()
        figure.savefig(out, format="png", dpi=SHOWN)
        return out.getvalue()

    def _drawn(self, ax: Any) -> Self:
        self.ax_ = ax
        self.figure_ = (ax if not hasattr(ax, "__len__") else ax[0]).figure
        return self
