"""What notebooks show: models, fits and selections as tables, a bar while a fit goes on, the trace as a frame."""

import pickle
import sys
import types

import numpy as np
import pytest

import estep
from estep.fitting.progress import Course
from estep.fitting.results import Iteration

X = estep.datasets.load_faithful().X


def test_models_and_fits_have_tables():
    mixture = estep.GaussianMixture(2, n_init=3, random_state=0).fit(X)
    for shown in (mixture.model_, mixture.fit_):
        page = shown._repr_html_()
        assert "<table>" in page and "standard deviation" in page and f"{mixture.means_[0, 1]:.4g}" in page
    assert "converged" in mixture.fit_._repr_html_()
    page = mixture._repr_mimebundle_()["text/html"]
    assert "GaussianMixture" in page and f"{mixture.means_[0, 1]:.4g}" in page
    assert "standard deviation" not in estep.GaussianMixture(2)._repr_mimebundle_()["text/html"]
    chosen = estep.select(X, [1, 2])
    assert "2 gaussian, full &lt;" in chosen._repr_html_() and "BIC" in chosen._repr_html_()
    odd = estep.MixtureModel({"<i>": "gaussian"}, 1).fit({"<i>": X[:, 0]})
    assert "<i>" not in odd.model_._repr_html_()


def test_the_trace_is_a_frame():
    fit = estep.GaussianMixture(2, random_state=0).fit(X).fit_
    frame = fit.trace.to_frame()
    assert frame["bound"].tolist() == fit.trace.bounds and len(frame) == fit.n_iter + 1
    assert frame["gain"].iloc[1:].tolist() == pytest.approx(np.diff(fit.trace.bounds).tolist())


def course(n=1, target=1e-6):
    made = Course(target)
    for i in range(8):
        made.take(Iteration(0, n, i, -100 - 4 * 0.5**i, 0.5**i if i else np.nan, None))
    return made


def test_a_course_foretells_the_end(monkeypatch):
    one = course()
    left = np.log(1e-6 / 0.5**7) / np.log(0.5)
    assert one.share == pytest.approx(7 / (7 + left))
    assert "about" not in one.text() and "nan" not in one.text()
    one.begun -= 40
    assert f"about {40 * left / 7:.0f} s left" in one.text()
    assert course(target=None).share is None and 0 < course(n=4).share < 0.25
    assert "start 1/4" in course(n=4).text() and Course().text() == "making starts"


def test_progress_in_a_notebook(monkeypatch):
    shown = []
    handle = types.SimpleNamespace(update=shown.append)
    shell = types.SimpleNamespace(kernel=object())
    display = types.SimpleNamespace(HTML=lambda text: text, display=lambda *a, **k: handle)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    progress = estep.Progress(every=0)
    estep.GaussianMixture(2, n_init=3, random_state=0, callbacks=[progress]).fit(X)
    assert len(shown) > 3 and all("<progress" in text for text in shown) and "start 1/3" in shown[0]
    n = len(shown)
    estep.GaussianMixture(1, callbacks=[pickle.loads(pickle.dumps(progress))]).fit(X)
    assert len(shown) > n


def test_progress_is_silent_where_nobody_looks(capsys):
    estep.GaussianMixture(2, random_state=0, callbacks=[estep.Progress()]).fit(X)
    assert capsys.readouterr() == ("", "")
