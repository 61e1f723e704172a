"""``gitml evidence``"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from gitml import clock
from gitml.cli.common import F, as_json, examples, root_of
from gitml.cli.proposed import key_option, placed, reason_option
from gitml.control.ledger import Here
from gitml.evidence.keys import SigningKey
from gitml.evidence.trust import Believed
from gitml.fields import EvidenceKind
from gitml.kinds import KINDS, signed_by
from gitml.output import note, paint, printable, show, show_json, table
from gitml.promotion.accept import AcceptOrder
from gitml.promotion.accept import accept as run_accept
from gitml.promotion.evidence import EventFilter, find, here
from gitml.promotion.evidence import evidence as listed
from gitml.promotion.evidence import keygen as make_pair
from gitml.promotion.evidence import verify as verify_events


@click.group(
    epilog=examples(
        "gitml evidence ls --model delay    what was signed about a model, newest first",
        "gitml evidence show 3f2a90bc11d2   one event whole",
        "gitml evidence verify              exit code 1 when an event does not count",
    )
)
def evidence() -> None:
    """Signed evidence of the ledger: listed, shown, verified; and keys to sign with.

    Read from this clone's copy of the branch gitml-ledger, judged by the keys that policy.yaml names on main.
    """


def _clone(command: F) -> F:
    """The options that say which clone and repository."""
    command = click.option("--fetch", is_flag=True, help="First fetch main and the ledger from origin.")(command)
    return click.option(
        "--repository", metavar="OWNER/NAME", default="", help="The repository, where origin does not say it."
    )(command)


def _here(ctx: click.Context, repository: str, *, fetch: bool) -> Here:
    return here(root_of(ctx), os.environ, repository, fetch=fetch)


@evidence.command(
    epilog=examples("gitml evidence ls", "gitml evidence ls --kind approved --environment production --json")
)
@click.option("--model", default="", help="About this model only.")
@click.option("--environment", default="", help="About this environment only.")
@click.option("--kind", type=click.Choice(get_args(EvidenceKind)), default=None, help="Of this kind only.")
@click.option("--pull", type=click.IntRange(1), help="About this pull request only.")
@click.option("-n", "--limit", type=click.IntRange(1), default=30, show_default=True, help="Events to list.")
@click.option("--all", "everything", is_flag=True, help="List all.")
@_clone
@as_json
@click.pass_context
def ls(ctx: click.Context, /, *, repository: str, fetch: bool, as_json: bool, **asked: Any) -> None:
    """List events, newest first, and say which count."""
    most = None if asked.pop("everything") else asked["limit"]
    wanted = EventFilter(asked["model"], asked["environment"], asked["kind"] or "", asked["pull"], most)
    found = listed(_here(ctx, repository, fetch=fetch), wanted)
    if as_json:
        show_json([_json(shown) for shown in found])
        return
    if not found:
        note("there are no such events")
        return
    show(table([_row(shown) for shown in found], ["time (UTC)", "kind", "about", "result", "by", "event", "counts"]))


def _row(shown: Believed) -> list[str]:
    about, event = shown.binding, shown.event.name.rpartition("-")[2].removesuffix(".json")
    why = f"signed by {shown.signer}" if shown else f"no: {shown.why_not.splitlines()[0]}"
    if about is None:
        return ["", "", "", "", "", event, why]
    where = f"{about.model} in {about.environment}" if about.environment else about.model
    what = " ".join(word for word in (where, about.version[-8:], f"#{about.pull}" if about.pull else "") if word)
    return [about.time.replace("T", " ").rstrip("Z"), about.kind, what, about.result, about.by, event, why]


def _json(shown: Believed, *, whole: bool = False) -> dict[str, Any]:
    statement = shown.statement
    return {
        "event": shown.event.name,
        "believed": bool(shown),
        "reason": shown.why_not,
        "signer": shown.signer,
        "binding": statement.binding.to_dict() if statement else None,
        **({"details": statement.details if statement else None} if whole else {}),
    }


@evidence.command(
    "show", epilog=examples("gitml evidence show 3f2a90bc11d2", "gitml evidence show 3f2a90bc11d2 --json")
)
@click.argument("event")
@_clone
@as_json
@click.pass_context
def show_one(ctx: click.Context, /, event: str, *, repository: str, fetch: bool, as_json: bool) -> int:
    """Show one event whole. EVENT is its path, or the 12 digits at its end.

    Exit code 1: it does not count.
    """
    shown = find(_here(ctx, repository, fetch=fetch), event)
    if as_json:
        show_json(_json(shown, whole=True))
        return 0 if shown else 1
    show(printable(shown.event.name))
    show(_says(shown))
    statement = shown.statement
    if statement:
        about = statement.binding.model_dump(mode="json", exclude_defaults=True)
        rows = [[name, value if isinstance(value, str) else json.dumps(value)] for name, value in about.items()]
        show(table(rows))
        if statement.details:
            show(printable(json.dumps(dict(statement.details), indent=2, ensure_ascii=False)))
    return 0 if shown else 1


def _says(shown: Believed) -> str:
    if shown:
        return paint(f"counts: signed by {printable(shown.signer)}", "green")
    return paint(f"does not count: it {printable(shown.why_not)}", "red")


@evidence.command(
    epilog=examples(
        "gitml evidence verify", "gitml evidence verify 3f2a90bc11d2", "gitml evidence verify envelope.json"
    )
)
@click.argument("names", nargs=-1, metavar="[EVENT|FILE]...")
@_clone
@as_json
@click.pass_context
def verify(ctx: click.Context, /, names: Sequence[str], *, repository: str, fetch: bool, as_json: bool) -> int:
    """Verify signatures, keys, purposes and times: of all events, of some, or of envelopes in files.

    `gitml audit` compares them with main as well. Exit code 0: all count. 1: some do not. 3: there are none.
    """
    found, verdict = verify_events(_here(ctx, repository, fetch=fetch), names)
    if as_json:
        show_json({"verdict": verdict, "events": [_json(shown) for shown in found]})
        return verdict.exit_code
    for shown in found if names or verdict.exit_code else ():
        show(f"{printable(shown.event.name)}  {_says(shown)}")
    show(printable(verdict.reason))
    return verdict.exit_code


@evidence.command(
    epilog=examples("gitml evidence accept 3f2a90bc11d2 --reason 'olga cleaned up by mistake' --key rita.key")
)
@click.argument("good", metavar="COMMIT")
@key_option
@reason_option
@as_json
@click.pass_context
def accept(ctx: click.Context, /, good: str, *, key: SigningKey, reason: str, as_json: bool) -> int:
    """Sign that the ledger goes on, though a commit deleted, edited or hid events.

    COMMIT is the last good commit of the branch gitml-ledger, which `gitml audit` names. What came before the break
    counts all the time; what came after it counts when as many people as policy.yaml says have accepted it.

    Exit code 0: the ledger goes on. 3: your word is signed, and more people are needed. 1: you may not.
    """
    with placed(ctx) as place:
        done = run_accept(place, AcceptOrder(good, reason, key))
    if as_json:
        names = {"breaks": done.breaks, "left": done.left}
        show_json({"by": done.by, "event": done.event, **{n: [b.commit for b in found] for n, found in names.items()}})
        return 3 if done.left else 0
    for found in done.breaks:
        show(printable(f"{done.by} accepts {found.commit[:12]}, which {found.what}"))
    show(printable(f"signed: {done.event}"))
    note("more people of the role have to accept it" if done.left else "the ledger goes on: what came since counts")
    return 3 if done.left else 0


@evidence.command(
    epilog=examples("gitml evidence keygen ci.key --owner 'CI of acme/app' --purpose gate --purpose approved")
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--owner", default="", help="Who holds the private key, for policy.yaml.")
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    type=click.Choice([kind for kind, row in KINDS.items() if not row.said_by]),
    help="A kind of evidence that it may sign; again for more.",
)
@as_json
def keygen(file: Path, *, owner: str, purposes: Sequence[str], as_json: bool) -> None:
    """Make a signing key: the private half to FILE, the public half as lines for policy.yaml.

    Give the private half to the forge as the secret GITML_SIGNING_KEY of the Environment gitml, then delete FILE. A
    person's own key, which `gitml override` signs with, has the purpose overridden alone and their login as owner.
    """
    name = file.stem or "gitml"
    pair = make_pair(file, name)
    if as_json:
        show_json({"private": str(pair.private), "public": pair.public})
        return
    private = printable(str(pair.private))
    if set(purposes) == {"overridden"}:
        note(f"the private key is in {private}: it is the owner's alone, keep it where nobody else can read it")
    else:
        note(f"the private key is in {private}: give it to the secret GITML_SIGNING_KEY, then delete it")
    note("add this to policy.yaml, by a pull request:")
    show(_snippet(name, pair.public, owner, purposes))


def _snippet(name: str, public: str, owner: str, purposes: Sequence[str]) -> str:

    kinds = ", ".join(purposes or signed_by("ci"))
    lines = [
        "keys:",
        f"  {json.dumps(name)}:",
        f"    public: {public}",
        f"    owner: {json.dumps(owner or 'name who holds the private half')}",
        f"    purposes: [{kinds}]",
        f'    from: "{clock.now():%Y-%m-%dT%H:%M:%SZ}"',
    ]
    return "\n".join(lines)
