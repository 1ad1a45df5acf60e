"""Commands about what there is: info and the demonstration."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from estep.cli.errors import guarded
from estep.cli.options import Full, Json, app
from estep.cli.parameters import parameter_table
from estep.cli.show import console
from estep.cli.text import plain
from estep.io.model_file import read, to_document


@app.command()
@guarded
def info(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="A model file; without: of estep.")] = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """What runs here: version, kernels, threads; or what is in MODEL.

    estep info model.json
    """
    from estep import __version__, kernels
    from estep.datasets import NAMES
    from estep.execution.threads import available_threads

    if model is not None:
        document = read(model)
        if as_json:
            print(json.dumps(to_document(document.model, document.provenance)))
            return
        shown = console()
        shown.print(parameter_table(document.model, shown.width, full))
        for key, value in document.provenance.items():
            if not isinstance(value, dict | list):
                print(plain(f"{key}: {value}"))
        return
    active = kernels.active().level
    if as_json:
        known = {"estep": __version__, "python": sys.version.split()[0], "numpy": np.__version__, "kernels": active}
        print(
            json.dumps(
                {**known, "levels": list(kernels.levels()), "threads": available_threads(), "datasets": list(NAMES)}
            )
        )
        return
    compiled = "" if len(kernels.levels()) > 1 else " (plain NumPy and slow: no compiler was found at installation)"
    print(f"estep {__version__}, Python {sys.version.split()[0]}, NumPy {np.__version__}")
    print(f"kernels: {active}{compiled}; this machine runs {', '.join(kernels.levels())} (ESTEP_KERNELS chooses)")
    print(f"threads: {available_threads()}")
    print(f"datasets: {', '.join(NAMES)}")


@app.command()
@guarded
def demo(
    folder: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures.")] = Path("estep-demo"),
    as_json: Json = False,
) -> None:
    """Fit the shipped data and write pictures: components of faithful, states of earthquakes.

    estep demo -o pictures
    """
    from estep.cli.demo import run

    run(folder, console(error=as_json))
    if as_json:
        print(json.dumps({"written": sorted(str(path) for path in folder.iterdir())}))
