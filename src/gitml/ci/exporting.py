"""The shell that makes a data set of labelled traffic; the same wherever it runs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gitml.ci.base import CiSource

if TYPE_CHECKING:
    from gitml.spec.traffic import TrafficExport


def export_commands(source: CiSource, model: str, spec: TrafficExport, handover: str) -> str:
    """Of one model, for a shell of its own: it may exit. ``handover`` is a folder, as the shell writes it.

    A day that is not ripe yet (exit code 3) is not lost.
    """
    folder = source.application.export_folder(model)
    here, pointer, lineage = (shlex.quote(f"{folder}{end}") for end in ("", ".dvc", ".lineage.json"))
    words = ["gitml traffic export", model, "--in", spec.environment, "--label", shlex.quote(spec.label), "--to", here]
    if spec.labels_within:
        words += ["--labels-within", f"{int(spec.labels_within.total_seconds())}s"]
    handed = f"{handover}/export/{model}"
    lines = [
        "# DVC would take days that are not here for days that were removed.",
        f"if test -f {pointer}; then dvc pull --quiet {pointer}; fi",
        f"{' '.join(words)} || test $? = 3",
        f"if test ! -d {here}; then exit 0; fi",
        f"dvc add --quiet {here}",
        f"dvc push --quiet {pointer}",
        f'mkdir -p "{handed}"',
        f'cp {pointer} "{handed}/data.dvc"',
        f'cp {lineage} "{handed}/lineage.json"',
    ]
    return "\n".join(lines)
