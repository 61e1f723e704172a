"""Draws docs/images/train.svg: what `gitml train delay` prints on a terminal, really run, in a fresh clone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 92
COMMAND = "gitml train delay"

# Background, foreground, then the eight colours of a terminal, plain and bright.
_PLAIN = [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255)]
_PLAIN += [(57, 197, 207), (177, 186, 196)]
THEME = TerminalTheme((13, 17, 23), (230, 237, 243), _PLAIN)

# No font is fetched: a picture in a README must not call home.
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img"
 aria-label="Terminal: gitml train delay">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 16px; font-family: system-ui, "DejaVu Sans", sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "gitml")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        text = printed(folder)
    path = ROOT / "docs" / "images" / "train.svg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(svg(f"\x1b[1;32m$\x1b[0m \x1b[1m{COMMAND}\x1b[0m\n{text}"), encoding="utf-8")


def printed(folder: Path) -> str:
    """What is left on the screen of a real terminal, with its colours."""
    here, there = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")}
    env |= {"TERM": "xterm-256color", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(COMMAND.split(), cwd=folder, env=env, stdin=there, stdout=there, stderr=there) as process:
        os.close(there)
        raw = b"".join(iter(lambda: read(here), b""))
    os.close(here)
    if process.returncode:
        sys.exit(f"{COMMAND} failed:\n{raw.decode()}")
    lines = raw.decode().replace("\r\n", "\n").split("\n")
    return "\n".join(line.rpartition("\x1b[2K")[2] for line in lines)


def read(stream: int) -> bytes:
    # Linux ends a pty with an error where others end a file.
    with suppress(OSError):
        return os.read(stream, 65536)
    return b""


def svg(text: str) -> str:
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text.rstrip()))
    drawn = console.export_svg(title="flight-delay", theme=THEME, code_format=SVG, unique_id="gitml")
    return "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    main()
