"""The command that turns scikit-learn's and hmmlearn's models into model files, and back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any

import typer

from estep.cli.errors import guarded
from estep.cli.options import Json, app
from estep.cli.text import say, written
from estep.io.model_file import load, save
from estep.util.files import check_target

PICKLES = (".pkl", ".pickle", ".joblib")


@app.command()
@guarded
def convert(
    source: Annotated[
        Path,
        typer.Argument(help="A model file (.json), or a pickle of scikit-learn or hmmlearn (.pkl, .joblib)."),
    ],
    target: Annotated[Path, typer.Option("-o", "--out", help="What to write: .json, or .pkl or .joblib.")],
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Open a pickle, which can run any code: only if you know its source."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a scikit-learn or hmmlearn model into a model file, or a model file into theirs: mixtures become
    scikit-learn's, chains hmmlearn's.

    estep convert old.pkl --trust -o model.json
    """
    for path in (source, target):
        if path.suffix not in (".json", *PICKLES):
            raise ValueError(f"{path}: the name ends in .json, {', '.join(PICKLES)}")
    check_target(target)
    if source.suffix == ".json":
        model: Any = load(source)
    elif trust:
        model = _of_pickle(source)
    else:
        raise ValueError(f"{source} is a pickle, and reading one can run any code: give --trust if you know its source")
    if target.suffix == ".json":
        save(model, target)
    else:
        _to_pickle(model, target)
    if target.suffix == ".json" and not any((model.to_model() if hasattr(model, "to_model") else model).columns):
        say("its columns have no names: columns of data go by their order")
    written(target, f"{target}: {model.n_components} components", as_json, n_components=model.n_components)


def _of_pickle(path: Path) -> Any:
    """The estimator of a pickle as ours."""
    import joblib

    from estep.compat.convert_hmmlearn import from_hmmlearn
    from estep.compat.convert_sklearn import from_sklearn
    from estep.estimators.attributes import Attributes

    try:
        found = joblib.load(path)
    except (OSError, ModuleNotFoundError):
        raise
    except Exception as error:  # whatever the bytes of a file that is none may call
        raise ValueError(f"{path} holds no pickle that can be opened: {error or type(error).__name__}") from None
    if isinstance(found, Attributes):
        return found
    ways = {"sklearn": from_sklearn, "hmmlearn": from_hmmlearn, "estep": from_hmmlearn}
    homes = [c.__module__.split(".")[0] for c in type(found).__mro__]
    way = next((ways[home] for home in homes if home in ways), None)
    if way is None:
        raise ValueError(f"{path} holds a {type(found).__name__}: mixtures and hidden Markov models are converted")
    try:
        return way(found)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from None


def _to_pickle(model: Any, path: Path) -> None:
    import joblib

    from estep.compat.convert_hmmlearn import to_hmmlearn
    from estep.compat.convert_sklearn import to_sklearn

    latent = (model.to_model() if hasattr(model, "to_model") else model).latent
    try:
        theirs = (to_hmmlearn if latent.sequential else to_sklearn)(model)
    except ImportError as error:
        raise ValueError(str(error)) from None
    if path.suffix == ".joblib":
        joblib.dump(theirs, path)
    else:
        path.write_bytes(pickle.dumps(theirs))
