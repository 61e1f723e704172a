"""``gitml ci``: finds the command's file when it is called."""

from __future__ import annotations

import importlib

import click

from gitml.cli.common import examples

# name: (module below gitml.cli, one line for the help)
COMMANDS: dict[str, tuple[str, str]] = {
    "render": ("ci_render", "Write the workflows that gitml.yaml asks for."),
    "check": ("ci_render", "Compare the workflows that are checked in with what would be rendered."),
    "run": ("ci_run", "Run the stages of one CI job, and hand them over to the next."),
    "commit": ("ci_commit", "Merge what the jobs handed over into a report and, when it is time, one commit."),
    "finish": ("ci_finish", "Report on trainings of branches, and commit what they gave, from the default branch."),
    "publish": ("publish", "Post the report of a CI run: one comment, the job summary, a commit status."),
    "propose": ("ci_propose", "Open the promotions that are due after a merge; close those that are overtaken."),
    "collect": ("ci_collect", "Append what agents report to the ledger, if a trusted key signed it."),
    "verify": ("ci_record", "Try the versions of main that have no evidence yet."),
    "record": ("ci_record", "Sign what became of main: decisions, trainings, and what versions showed."),
    "monitor": ("ci_monitor", "Look at live traffic, sign what was seen, and say it on pull requests."),
    "retrain": ("ci_retrain", "Open the retrainings that are due; close those whose cause is gone."),
    "export": ("ci_export", "Propose what was exported from live traffic, by one pull request a model."),
    "replay": ("ci_replay", "Let proposed versions answer logged requests, and say on pull requests how they did."),
    "subjects": ("ci_subjects", "Delete old traffic, index data of people, and carry out erasures."),
    "wait": ("ci_wait", "Report on a job that no runner takes."),
    "dispatch": ("ci_dispatch", "Train the branch of a pull request that opened or became ready."),
}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"gitml.cli.{COMMANDS[name][0]}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"gitml.cli.{COMMANDS[name][0]}.{name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=Commands,
    epilog=examples(
        "gitml ci render    write .github/workflows/gitml-*.yml",
        "gitml ci check     exit code 1 and a diff when they are not what would be rendered",
    ),
)
def ci() -> None:
    """Training and reports in CI: the workflows, and what their jobs call."""
