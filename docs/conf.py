"""Sphinx's settings."""

import estep

project = "estep"
author = "the estep developers"
copyright = f"2026, {author}"
version = release = estep.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"estep {version}"
html_static_path = ["_static"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"


def setup(app):
    """Leaves out what scikit-learn adds to every estimator: metadata routing, set_output."""
    app.connect("autodoc-skip-member", lambda app, what, name, *rest: True if _is_scikit_learns(name) else None)


def _is_scikit_learns(name):
    return name.endswith("_request") or name in ("get_metadata_routing", "set_output")
