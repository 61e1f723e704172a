"""What a Vega-Lite spec calls itself."""

from __future__ import annotations


def title_of(spec: object) -> str:
    """A text, or the text of an object; empty for neither.

    >>> title_of({"title": {"text": "Calibration"}}), title_of({"title": ["a", "b"]})
    ('Calibration', '')
    """
    title = spec.get("title") if isinstance(spec, dict) else None
    text = title.get("text") if isinstance(title, dict) else title
    return text if isinstance(text, str) else ""
