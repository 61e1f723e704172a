"""The ``gitml`` command: finds the command's file, and is the one place where errors become exit codes."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import Any, NoReturn

import click

from gitml import __version__
from gitml.errors import GitmlError, UsageError
from gitml.output import prepare_streams

# name: (module below gitml.cli, one line for the help). The module loads only when its command is called. A name in
# brackets is an extra: the command comes with another distribution, by an entry point of the group gitml.commands.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Start an application here: a small pipeline, or a whole example."),
    "check": ("check", "Check gitml.yaml, policy.yaml and all they name, with lines and hints."),
    "graph": ("graph", "Show how stages, models and environments depend on each other."),
    "models": ("models", "List the models, or the versions of one."),
    "show": ("show", "Show one version with its full lineage."),
    "card": ("card", "Write the card of a version: what it is for, how good it is, what it is made of."),
    "bom": ("bom", "Write the bill of materials of a version, as CycloneDX."),
    "diff": ("diff", "Show two versions side by side."),
    "holdout": ("holdout", "Let a version and the one that runs answer the same held-out rows."),
    "train": ("train", "Train models: run what no recorded run covers, and write a version record."),
    "resolve": ("resolve", "Settle conflicts in files that runs write: main's stand, and CI writes new ones."),
    "reproduce": ("reproduce", "Run a version's lineage again and compare with its record."),
    "register": ("register", "Make a version of a model bought or trained elsewhere."),
    "promote": ("promote", "Propose a version for an environment, by a pull request."),
    "rollback": ("rollback", "Go back to the last good version, by a pull request with a hold."),
    "resume": ("rollback", "End a hold, by a pull request."),
    "retire": ("retire", "End a model wherever it runs, by pull requests, and keep its records."),
    "gate": ("gate", "Judge whether a pull request may promote: policy, evidence, reviews."),
    "override": ("override", "Sign that shut gates of a promotion may be passed, with a reason and an end."),
    "merge": ("merge", "Merge a pull request at exactly the commit whose gate is open."),
    "status": ("status", "What is wanted where, since when, by whose approval; what runs; what is pending."),
    "logbook": ("logbook", "Show what happened in each environment, from signed evidence, and who can stop it."),
    "review": ("review", "Sign that you looked at a model that runs, and whether it may go on."),
    "inventory": ("inventory", "List all models: purpose, owner, tier, review, where they run, when they end."),
    "evidence": ("evidence", "Signed evidence of the ledger: list, show, verify; make signing keys."),
    "audit": ("audit", "Compare main with the ledger, both ways, and export the result."),
    "agent": ("agent", "Serve the models of one environment as main says, and follow every merged change."),
    "stream": ("stream", "Answer the messages of a topic, each exactly once."),
    "size": ("size", "Measure a version here: how many processes, cores and GB a task needs."),
    "serve": ("serve", "Serve one version over HTTP on this machine, to try it out."),
    "score": ("score", "Score whole data sets with a version, file by file, each once."),
    "env": ("env", "Build the environment of an engine of batches: Spark, Ray or Flink."),
    "labels": ("labels", "Tell the prediction log what really happened."),
    "events": ("events", "Add business events, which KPIs are made of."),
    "traffic": ("traffic", "Show the requests of a window, and whether it is complete."),
    "explain": ("explain", "Tell what each input contributed to a logged answer."),
    "reference": ("reference", "Write what a version's live traffic is held against."),
    "outliers": ("outliers", "Fit what rows are strange, for `gitml monitor` to count them."),
    "importance": ("importance", "Write how much each input of a model matters, on held-out rows."),
    "retrain": ("retrain", "See what asks for a retraining, ask for one, or say no."),
    "bias": ("bias", "Count whom a model selects, by sex, race and ethnicity."),
    "subject": ("subjecterase", "Find one person in data, models and traffic, and erase them."),
    "canary": ("canary", "Judge candidates beside the champion on live traffic, or stop one."),
    "replay": ("replay", "Let a version answer logged requests, beside what the champion answered then."),
    "experiment": ("experiment", "Judge an A/B test by a KPI per unit."),
    "kpi": ("kpi", "Show KPIs by day, with what is not known of them."),
    "impact": ("impact", "Show what KPIs did after each change of a model."),
    "monitor": ("monitor", "Look at live traffic: quality of the data, drift, harm."),
    "site": ("site", "Pages that show each role its part of the application."),
    "ci": ("ci", "Train and report in CI: its workflows, and what their jobs call."),
    "doctor": ("doctor", "Check whether repository, forge and tokens are set up for the loop."),
    "gc": ("gc", "Delete what no version, deployment or branch names from DVC's cache and remote."),
    "sandbox": ("[sandbox]", "A forge and a runner on this machine, in GitHub's formats, without internet."),
}


# What the machine refuses, and what to do about it. Any other OSError is a bug.
_MACHINE = {
    errno.EACCES: "see who owns it and who may write there",
    errno.EPERM: "see who owns it and who may write there",
    errno.EROFS: "it can only be read here: work in a clone that can be written to",
    errno.ENOSPC: "make room on the disk, and call it again",
    errno.EDQUOT: "make room within your quota, and call it again",
    errno.EIO: "the disk fails: look into the system's log",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EISDIR: "a file belongs there: move the folder away",
    errno.ENOTDIR: "a folder belongs there: move the file away",
    errno.ELOOP: "remove the symlinks that lead back to themselves",
}


def _own(name: str, module: str) -> object:
    return getattr(importlib.import_module(f"gitml.cli.{module}"), name.replace("-", "_"))


def _from_extra(name: str, extra: str) -> object:
    from importlib.metadata import entry_points

    found = entry_points(group="gitml.commands", name=name)
    if not found:
        raise UsageError(f"`gitml {name}` is not installed", f"pip install 'gitml[{extra}]'")
    return next(iter(found)).load()


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        place = COMMANDS[name][0]
        command = _from_extra(name, place.strip("[]")) if place.startswith("[") else _own(name, place)
        gc.enable()
        if not isinstance(command, click.Command):
            raise TypeError(f"{name} in {place} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            said = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{said}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gitml")
@click.option("-C", "directory", metavar="DIR", default=".", help="Work in DIR instead of here.")
@click.pass_context
def gitml(ctx: click.Context, directory: str) -> None:
    """Git as the control plane of a machine-learning application.

    Exit codes: 0 successful, 1 failed, 2 wrong usage or files, 3 inconclusive, 4 the outside failed (git, DVC,
    forge, network), 70 a bug in gitml, 130 interrupted.
    """
    ctx.obj = directory
    from gitml.clock import VARIABLE

    if os.environ.get(VARIABLE):
        from gitml.cli.turned import refuse_turned

        refuse_turned(directory)


def _complain(message: str, hint: str = "") -> None:
    from gitml.output import note, paint, printable

    note(paint("error: ", "red", "bold", stream=sys.stderr) + printable(message))
    if hint:
        note("  " + printable(hint))


def _bug() -> NoReturn:
    _complain("gitml has a bug; please report the lines below", f"gitml {__version__}, Python {sys.version.split()[0]}")
    import traceback

    traceback.print_exc()
    sys.exit(70)


def _drop_output() -> None:
    """What nobody takes is not tried again when Python ends, which would be another error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(args: list[str] | None = None) -> NoReturn:
    """The process boundary."""
    # Thousands of functions and classes come into being while modules load, and none of them is garbage.
    gc.disable()
    prepare_streams()
    try:
        result: Any = gitml.main(args=args, standalone_mode=False)
        # What is still in the buffer may find a full disk, and Python's own end would not say so.
        sys.stdout.flush()
    except (KeyboardInterrupt, click.exceptions.Abort):  # click makes the one the other
        _complain("interrupted", "what was done before that stays: the same command goes on from there")
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except GitmlError as exc:
        _complain(exc.message, exc.hint)
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (gitml models | head): not an error of ours.
        _drop_output()
        sys.exit(141)
    except OSError as exc:
        if exc.errno not in _MACHINE:
            _bug()
        place = f"{os.fsdecode(exc.filename)}: " if isinstance(exc.filename, str | bytes) else ""
        _complain(f"{place}{exc.strerror}", _MACHINE[exc.errno])
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        sys.exit(4)
    except ModuleNotFoundError as exc:
        from gitml.cli.extras import not_installed

        told = not_installed(exc)
        if told is None:
            _bug()
        _complain(told.message, told.hint)
        sys.exit(told.exit_code)
    except Exception:  # the boundary: whatever is left is a bug
        _bug()
    sys.exit(result if isinstance(result, int) else 0)
