"""Sphinx: Markdown pages through MyST, warnings are errors (make docs)."""

from gitml import __version__

project = "gitml"
author = "the gitml authors"
copyright = "the gitml authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "gitml"
nitpicky = True
