"""GitHub's workflows: the members of ``gitml.ci.table.Renderer``."""

from gitml.ci.github.layout import FOLDER, file_name, header
from gitml.ci.github.workflows import render

PATTERN = f"{FOLDER}/gitml-*.yml"

__all__ = ["PATTERN", "file_name", "header", "render"]
