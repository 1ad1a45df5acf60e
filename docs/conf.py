"""Sphinx's settings."""

import sys
from pathlib import Path

import estep

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "estep"
author = "the estep developers"
copyright = f"2026, {author}"
version = release = estep.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "command_line",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "gallery/*.ipynb", "**/GALLERY_HEADER.rst"]
suppress_warnings = ["config.cache"]

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_in_temp = True  # pages write files
nb_merge_streams = True
nb_render_markdown_format = "myst"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(?!cepstra)\w+\.py$",
    "ignore_pattern": r"cepstra",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1000,
}

html_theme = "furo"
html_title = f"estep {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {"navigation_with_keys": True}
mathjax_path = "mathjax/tex-svg.js"  # in _static: pages are read without a network
autodoc_member_order = "bysource"
autodoc_typehints = "none"


def setup(app):
    """Leaves out what scikit-learn adds to every estimator: metadata routing, set_output."""
    app.connect("autodoc-skip-member", lambda app, what, name, *rest: True if _is_scikit_learns(name) else None)


def _is_scikit_learns(name):
    return name.endswith("_request") or name in ("get_metadata_routing", "set_output")
