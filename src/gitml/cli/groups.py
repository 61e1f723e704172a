"""Groups of commands of which one may be left out."""

from __future__ import annotations

import click


class DefaultGroup(click.Group):
    """`gitml NAME WORDS` is `gitml NAME default WORDS`, where the first of the words is no command of the group."""

    default = ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [self.default, *args]
        return super().parse_args(ctx, args)
