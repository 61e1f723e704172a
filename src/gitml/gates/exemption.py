"""Something forbidden that policy.yaml allows for a time, under ``exceptions``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gitml.fields import FileSection, Login, Name, Text, Until


class Exemption(FileSection):
    """Something forbidden that is allowed for one model for a time."""

    allow: Literal["pickle"] = Field(description="What: `pickle`, a format that runs code when it is loaded.")
    model: Name = Field(description="For which model.")
    reason: Text = Field(description="Why.")
    by: Login = Field(description="Login of the person who answers for it.")
    until: Until = Field(description="Last day (included) or moment.")
