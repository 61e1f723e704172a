"""Draw charts, as a script: Vega-Lite specs as a JSON list on stdin, a JSON line for each picture on stdout."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any


def main(scale: str) -> None:
    """``{"png": base64}`` or ``{"error": text}`` for each, in their order; nothing may be fetched."""
    import vl_convert

    for spec in json.load(sys.stdin):
        try:
            picture = vl_convert.vegalite_to_png(readable(spec), scale=float(scale), allowed_base_urls=[])
            answer = {"png": base64.b64encode(picture).decode()}
        except ValueError as exc:
            answer = {"error": (str(exc).strip().splitlines() or ["no reason given"])[0][:300]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def readable(spec: dict[str, Any]) -> dict[str, Any]:
    """White behind it where nothing is: dark text on a dark page cannot be read."""
    config = spec.get("config")
    chosen = spec.get("background") or (config.get("background") if isinstance(config, dict) else None)
    return spec if chosen and chosen != "transparent" else {**spec, "background": "white"}


if __name__ == "__main__":
    main(*sys.argv[1:])
