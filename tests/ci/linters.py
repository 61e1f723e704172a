"""The two linters of GitHub workflows, as they answer on every machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)+$")


def lint(tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which(tool, path=str(Path(sys.executable).parent))
    assert command, f"{tool} is not installed beside this Python"
    return subprocess.run([command, *words], capture_output=True, text=True, check=False, timeout=60)


def actionlint(*paths: Path) -> subprocess.CompletedProcess[str]:
    # shellcheck and pyflakes, where a machine happens to have them, are left out: the same answer everywhere.
    return lint("actionlint", "-shellcheck=", "-pyflakes=", *map(str, paths))


def zizmor(*paths: Path) -> subprocess.CompletedProcess[str]:
    return lint("zizmor", "--offline", "--no-progress", "--no-config", "--color=never", *map(str, paths))
