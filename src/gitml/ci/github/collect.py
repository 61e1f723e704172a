"""What agents report comes into the ledger: a job on a schedule, because nothing on GitHub happens when they write.

It holds no signing key: it checks signatures and appends. Where what it collected makes a promotion due, the next job
opens it. Both may write, so neither takes anything from a cache that other jobs fill.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, small, workflow
from gitml.ci.github.propose import propose
from gitml.ci.github.steps import ON_MAIN, mapping
from gitml.ci.wanted import OUTBOX

_EVERY_QUARTER = '"7,22,37,52 * * * *"'


def collect(source: CiSource) -> str:
    """Does nothing until somebody sets the variable GITML_OUTBOX."""
    on = ["schedule:", f"  - cron: {_EVERY_QUARTER}", "workflow_dispatch:"]
    group = ["group: ${{ github.workflow }}", "cancel-in-progress: false"]
    # Something that was refused makes the first job red, and holds nothing else up.
    due = propose(source, after="collect", when=f"!cancelled() && {_here()}")
    return workflow(source, "collect", on, group, [_collect(source), due])


def _here() -> str:
    return f"vars.{OUTBOX} != '' && {ON_MAIN}"


def _collect(source: CiSource) -> list[str]:
    # Reads the outbox with what reads DVC's remote, so keep both in one account or bucket.
    identity = {"id-token": "write"} if source.application.ci.oidc else {}
    environment = ["environment: gitml-main"] if source.application.ci.secrets else []
    sign_in, token = steps.app_token(source, {"contents": "write"})
    own = {"contents": "read"} if sign_in else {"contents": "write"}
    head = [f"if: ${{{{ {_here()} }}}}", *small(source), *environment, *mapping("permissions", {**own, **identity})]
    env = {"GITHUB_TOKEN": token, OUTBOX: f"${{{{ vars.{OUTBOX} }}}}", **steps.secrets(source)}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *steps.sign_in(source),
        *sign_in,
        steps.run("gitml ci collect", env=env),
    ]
    return job_of("collect", head, body)
