"""``gitml subject erase`` and ``gc``"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml import clock, spec
from gitml.cli.common import as_json, examples, root_of, traffic_log
from gitml.cli.proposed import placed
from gitml.cli.subject import found_json, read_id, show_found, subject, subject_data, traffic_call
from gitml.errors import GitmlError, UsageError
from gitml.output import note, paint, printable, show, show_json, table

if TYPE_CHECKING:
    from gitml.governance.erasedobjects import ErasedEverywhere
    from gitml.promotion.erase import ErasureAsked
    from gitml.registry.replacements import ReplacedFile


def _request(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    from gitml.registry.erasures import check_request

    return check_request(value)


@subject.command(
    epilog=examples(
        "gitml subject erase --request 2026-17 < id.txt",
        "gitml subject erase --request 2026-17 --json < id.txt",
    )
)
@click.option("--request", required=True, callback=_request, help="The request's name in your register.")
@traffic_log
@as_json
@click.pass_context
def erase(ctx: click.Context, /, *, request: str, folder: str | None, as_json: bool) -> int:
    """Ask for one person to be erased, by a pull request that sees an HMAC of the id alone.

    It takes their rows out of the data that `dvc add` brought in, and files erasures/REQUEST.json. Once it is merged,
    `gitml ci subjects` empties their rows in the traffic and signs it, `gitml reproduce` says why old versions are
    gone, and models that were trained on them are due for a retraining. Needs GITHUB_TOKEN, and the keys that
    ids are hashed with. Called twice it does nothing the second time.
    """
    from gitml.promotion.erase import EraseOrder
    from gitml.promotion.erase import erase as run_erase

    root = root_of(ctx)
    models = list(spec.load_application(root).models)
    with subject_data(root) as data, placed(ctx) as place:
        done = run_erase(place, data, EraseOrder(request, read_id(), traffic_call(root, folder, models)))
    if as_json:
        show_json(_asked_json(done))
    else:
        _show_asked(done)
    return done.found.verdict.exit_code


def _asked_json(done: ErasureAsked) -> dict[str, Any]:
    return {
        "request": done.erasure.request,
        "how": done.how,
        "pull": done.pull.number if done.pull else None,
        "url": done.pull.url if done.pull else None,
        "retrain_by": done.erasure.retrain_by,
        "removed": [{"path": one.data.path, "rows": one.rows} for one in done.removed],
        "not_changed": done.kept,
        "found": found_json(done.found),
    }


def _show_asked(done: ErasureAsked) -> None:
    show_found(done.found, looked=True)
    for one in done.removed:
        show(printable(f"{one.rows} {'row' if one.rows == 1 else 'rows'} taken out of {one.data.path}"))
    for text in done.kept:
        note(paint("not changed here: ", "yellow") + printable(text))
    if done.pull:
        show(printable(f"#{done.pull.number} {done.how}: {done.pull.title}"))
        show(printable(done.pull.url))
    else:
        show(f"the default branch has the request {done.erasure.request} already")


@subject.command(
    epilog=examples(
        "gitml subject gc --request 2026-17          what would go, and what stays and why",
        "gitml subject gc --request 2026-17 --yes    delete it in the cache and on each remote",
    )
)
@click.option("--request", required=True, callback=_request, help="A request that the files here have.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@as_json
@click.pass_context
def gc(ctx: click.Context, /, *, request: str, yes: bool, as_json: bool) -> int:
    """Delete old data that hold a person who was erased, and what was made of them, in the cache and on each remote.

    Only objects go in whose index the person is, and outputs of versions that were trained on them, which nothing else
    names and which run nowhere. Each is looked for afterwards. Versions that go this way can never be reproduced. Exit
    code 3: something is left, or a remote was not reached.
    """
    from gitml.git.tree import WorkTree
    from gitml.governance.erasedobjects import ErasedEverywhere, gone_list, states_of
    from gitml.registry.erasures import parse_erasure, path_of

    root = root_of(ctx)
    tree, path = WorkTree(root), path_of(request)
    raw = tree.read(path)
    if raw is None:
        raise UsageError(f"there is no {path} here", "it comes with the pull request: merge that, and pull")
    erasure = parse_erasure(raw, path)
    with subject_data(root) as data:
        data.ring.named(erasure.key)
        gone = gone_list(tree, data, erasure, _replaced(root))
        before = ErasedEverywhere(gone, states_of(data, gone))
        if not as_json:
            _show_states(before, "there")
        agreed = yes or (not as_json and any(state.left for state in before.states) and _agreed(before))
        after = ErasedEverywhere(gone, states_of(data, gone, delete=True)) if agreed else before
    if as_json:
        show_json(_gone_json(after))
    elif agreed:
        _show_states(after, "left")
    return 0 if after.is_done else 3


def _replaced(root: Path) -> tuple[ReplacedFile, ...]:
    """What signed evidence replaced, as this clone has the ledger; without one old rows and counts stay."""
    from gitml.control.ledger import Here
    from gitml.control.replaced import replaced_here

    try:
        return replaced_here(Here(root, os.environ), clock.now())
    except GitmlError as exc:
        note(printable(f"rows and references of versions that run stay: the ledger cannot be read ({exc.message})"))
        return ()


def _agreed(found: ErasedEverywhere) -> bool:
    if not sys.stdin.isatty():
        return False
    stores = ", ".join(state.store for state in found.states if state.left)
    return click.confirm(f"delete them from the {stores}? No version that needs them can be had again", err=True)


def _show_states(found: ErasedEverywhere, word: str) -> None:
    rows = [
        [s.store, printable(s.why) if s.why else f"{len(s.left)} of {len(found.gone.objects)} objects {word}"]
        for s in found.states
    ]
    show(table(rows))
    for text in found.gone.stays:
        note(paint("stays: ", "yellow") + printable(text))
    note("clones, caches of other machines, backups and old versions that a store keeps by itself are not reached")


def _gone_json(found: ErasedEverywhere) -> dict[str, Any]:
    return {
        "objects": [{"oid": oid, "path": path} for oid, path in found.gone.objects.items()],
        "stays": found.gone.stays,
        "stores": [
            {"store": s.store, "deleted": s.deleted, "left": s.left, "not_reached": s.why} for s in found.states
        ],
        "gone": found.is_done,
    }
