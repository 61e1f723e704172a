"""What the card of a version says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CardLine:
    """One fact and the file that it stands in."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class CardSection:
    """``is_exact``: its values are names and digests, which are shown as they are written."""

    title: str
    lines: tuple[CardLine, ...]
    is_exact: bool = False


@dataclass(frozen=True)
class CardMetric:
    name: str
    value: float
    interval: str


@dataclass(frozen=True)
class ModelCard:
    """``task`` and ``library`` in the words of Hugging Face, ``data``: what it was made of and judged on."""

    title: str
    model: str
    version: str
    description: str
    license: str
    library: str
    task: str
    data: str
    metrics: tuple[CardMetric, ...]
    sections: tuple[CardSection, ...]
