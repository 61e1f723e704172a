"""All benchmarks, one after the other."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

SKIP = {"__main__", "timing", "manylooks", "servers", "monitors"}


def main() -> None:
    for module in sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name not in SKIP):
        print(f"\n== {module}")
        importlib.import_module(f"benchmarks.{module}").main()


main()
