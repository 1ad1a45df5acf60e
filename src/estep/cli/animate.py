"""The command that makes a film of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from estep.algorithms import make_algorithm
from estep.cli.choose import Ask
from estep.cli.errors import guarded
from estep.cli.options import (
    Columns,
    Data,
    Decimal,
    Header,
    Json,
    Missing,
    Sep,
    Sequence,
    Thousands,
    app,
)
from estep.cli.tables import dialect_of, read_table
from estep.cli.text import written
from estep.emissions import FAMILIES, Gaussian
from estep.execution.threads import threads
from estep.fitting.stopping import Stop
from estep.latents import Chain, Independent
from estep.util.files import check_target


@app.command()
@guarded
def animate(
    data: Data,
    components: Annotated[int, typer.Option("-k", "--components", min=1, help="Components or states.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Film to write: .gif, .mp4 (with ffmpeg) or .html.")],
    kind: Annotated[str, typer.Option(help="mixture|hmm")] = "mixture",
    emission: Annotated[str, typer.Option(help="hmm: the family of the series.")] = "gaussian",
    rate: Annotated[float, typer.Option(min=0.2, max=60, help="Frames a second.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random start.")] = 0,
    max_iter: Annotated[int, typer.Option(min=1, help="M-steps, at most.")] = 200,
    columns: Columns = None,
    sequence: Sequence = None,
    sep: Sep = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    na: Missing = None,
    header: Header = None,
    as_json: Json = False,
) -> None:
    """Film a fit to DATA from a random start: ellipses or states by iteration, and the bound beneath.

    estep animate data.csv -k 3 -o em.gif
    """
    from estep.estimators.selection import select
    from estep.plots import Film, require_matplotlib
    from estep.plots.film import SUFFIXES

    require_matplotlib()
    if out.suffix not in SUFFIXES:
        raise ValueError(f"{out}: a film's name ends in {', '.join(SUFFIXES)}")
    if kind not in ("mixture", "hmm"):
        raise ValueError(f"--kind {kind!r}: it is mixture or hmm")
    if emission not in FAMILIES or (kind == "mixture" and emission != "gaussian"):
        raise ValueError(f"--emission {emission!r}: mixtures are filmed of gaussian, hmm of {', '.join(FAMILIES)}")
    check_target(out)
    family = Gaussian("full" if kind == "mixture" else "diag") if emission == "gaussian" else FAMILIES[emission]()
    dialect = dialect_of(sep, decimal, thousands, na, header)
    table = read_table(data, family.rows, Ask(columns, sequence, None, None, None, dialect))
    source = table.source.chained() if kind == "hmm" else table.source.independent()
    film, latent = Film(), Chain() if kind == "hmm" else Independent()
    stop = Stop(1e-8, max_iter, reseeds=0)
    how: dict[str, Any] = {"init_params": "random_from_data", "random_state": seed, "execute": threads()}
    select(source, [components], family, latent, stop=stop, algorithm=make_algorithm("em"), callbacks=[film], **how)
    film.write(out, source, rate)
    frames = len(film.shown())
    written(out, f"{frames} frames written to {out}", as_json, frames=frames)
