"""What each version takes of a machine, from the newest trial of main's job that is signed for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gitml.gates.facts import Proof
from gitml.site.versionfacts import SiteModel

_MOST, _MOST_TEXT, _MOST_SIZES = 1e15, 100, 8
_SIZE = re.compile(r"[1-9][0-9]{0,8}")


def sized(model: SiteModel, proofs: Iterable[Proof]) -> SiteModel:
    """With what was measured of the bytes that its record names, and nothing where they were not tried."""
    tried = [p for p in proofs if not p.why_not and p.kind == "evaluated" and p.model == model.name]
    newest: dict[tuple[str, str], Proof] = {}
    for proof in sorted(tried, key=lambda p: p.time):
        newest[proof.version, proof.artifact] = proof
    return replace(
        model,
        details={
            version: replace(detail, sizing=_said(newest[version, detail.artifact_sha256].details))
            if (version, detail.artifact_sha256) in newest
            else detail
            for version, detail in model.details.items()
        },
    )


def _said(details: Mapping[str, Any]) -> str:
    told = details.get("sizing")
    if not isinstance(told, Mapping):
        return ""
    parts = [
        _number(told.get("memory_mb"), "{:,.0f} MB in a process"),
        _number(told.get("load_s"), "loaded in {:.3g} s"),
        *_rows(told.get("row_ms"), ""),
        *_rows(told.get("row_ms_on_cores"), " on cores"),
        _words(told),
    ]
    return "; ".join(part for part in parts if part)


def _rows(times: Any, where: str) -> list[str]:
    if not isinstance(times, Mapping):
        return []
    asked = {size: ms for size, ms in list(times.items())[:_MOST_SIZES] if _SIZE.fullmatch(str(size))}
    text = {size: "a row alone {:.3g} ms" if size == "1" else f"of {int(size):,} at once {{:.3g}} ms" for size in asked}
    return [f"{said}{where}" for size, ms in asked.items() if (said := _number(ms, text[size]))]


def _number(value: Any, text: str) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST
    return text.format(value) if good else ""


def _words(told: Mapping[str, Any]) -> str:
    device, driver = (str(told.get(key) or "")[:_MOST_TEXT] for key in ("device", "driver"))
    if device:
        return f"on {device}" + (f", driver {driver}" if driver else "")
    processor = str(told.get("processor") or "")[:_MOST_TEXT]
    return f"on a core of {processor}" if processor else ""
