"""``card`` of a model in gitml.yaml: what only people know of it."""

from __future__ import annotations

from pydantic import Field

from gitml.fields import FileSection, Text


class Card(FileSection):
    """For its card and its bill of materials."""

    limits: Text | None = Field(None, description="What it must not be used for, and where it is known to be weak.")
    users: Text | None = Field(None, description="Who works with its answers.")
    license: Text | None = Field(None, description="The licence of the model, as SPDX writes it, such as Apache-2.0.")
