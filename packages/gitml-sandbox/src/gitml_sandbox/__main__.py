"""The command on its own: ``gitml-sandbox``, or ``python -m gitml_sandbox``."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from gitml_sandbox.cli.sandbox import sandbox


def main(args: list[str] | None = None) -> NoReturn:
    """The process boundary: what a command returns is its exit code."""
    try:
        result: Any = sandbox.main(args=args, prog_name="gitml-sandbox", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
