"""Steps of GitHub's workflows, as lines of YAML."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from gitml.ci.base import CiSource
from gitml.ci.github.actions import pinned
from gitml.ci.wanted import upstream_secrets
from gitml.ci.yamltext import scalar

Step = Sequence[str]

CML = "@dvcorg/cml@0.20.6"

# Outside the checkout, and empty when a job begins: what is committed is no hand-over. gitml finds it by RUNNER_TEMP.
HANDOVER = "${{ runner.temp }}/gitml"
MAIN = "format('refs/heads/{0}', github.event.repository.default_branch)"
# What is true of a run of the default branch alone. The event of a schedule, which runs there only, names no repository
# (https://github.com/github/codeql-action/pull/1211).
ON_MAIN = f"(github.event_name == 'schedule' || github.ref == {MAIN})"


def listed(texts: Sequence[str]) -> str:
    """One text as it is, several as a list."""
    return scalar(texts[0]) if len(texts) == 1 else f"[{', '.join(scalar(t) for t in texts)}]"


def run(command: str, *, env: Mapping[str, str] | None = None, more: Sequence[str] = (), why: str = "") -> Step:
    lines = command.split("\n")
    plain = len(lines) == 1 and not re.search(r":( |$)| #|^\W", command)
    block = [f"run: {command}{why and f' # {why}'}"] if plain else ["run: |", *(f"  {line}" for line in lines)]
    return [*block, *more, *mapping("env", env or {})]


def use(action: str, given: Mapping[str, str], *, more: Sequence[str] = ()) -> Step:
    return [f"uses: {pinned(action)}", *more, *mapping("with", given)]


def mapping(name: str, values: Mapping[str, str]) -> list[str]:
    """A key with keys below it, which hold YAML; nothing when there are none. A value of several lines is a block."""
    inner = [
        line
        for key, value in values.items()
        for line in ([f"  {key}: {value}"] if "\n" not in value else [f"  {key}: |", *_indented(value)])
    ]
    return [f"{name}:", *inner] if inner else []


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.split("\n")]


def checkout(*, whole: bool, ref: str = "") -> Step:
    """Without the token: what runs afterwards, training code among it, must not find one in .git/config."""
    given = {"ref": ref} if ref else {}
    return use("actions/checkout", {**given, **({"fetch-depth": "0"} if whole else {}), "persist-credentials": "false"})


def install(source: CiSource, packages: Sequence[str], cached_by: str = "", *, extra: str = "") -> list[Step]:
    """Python with gitml and the locked packages; pip's downloads are kept as long as the lock files stay the same.

    Without ``cached_by`` nothing is taken from a cache: what another job left there may be poisoned.
    """
    files = [source.in_repository(p) for p in packages] or [cached_by]
    python = {"python-version": f'"{source.application.ci.python}"'}
    if cached_by:
        path = scalar(files[0]) if len(files) == 1 else "\n".join(files)
        python |= {"cache": "pip", "cache-dependency-path": path}
    own = shlex.quote(source.requirement(extra))
    locks = " ".join(f"-r {shlex.quote(p)}" for p in packages)
    if locks and source.hashed:
        command = f"pip install {own}\npip install {locks}\npip check"
    else:
        command = f"pip install {own} {locks}".rstrip()
    return [use("actions/setup-python", python), run(command)]


def sign_in(source: CiSource, *, writes: bool = True, role: str = "") -> list[Step]:
    """DVC's remote by the job's own identity; the default branch may have a role of its own, to write with. ``role``:
    the end of another role's name, which takes the place of both."""
    if source.application.ci.oidc == "aws":
        given = {
            "role-to-assume": _role(f"AWS_ROLE{role}", writes=writes and not role),
            "role-duration-seconds": "${{ vars.AWS_ROLE_SECONDS || 3600 }}",
            "aws-region": "${{ vars.AWS_REGION }}",
        }
        return [use("aws-actions/configure-aws-credentials", given)]
    if source.application.ci.oidc == "google":
        given = {
            "workload_identity_provider": "${{ vars.GOOGLE_PROVIDER }}",
            "service_account": _role(f"GOOGLE_ACCOUNT{role}", writes=writes and not role),
        }
        return [use("google-github-actions/auth", given)]
    return []


def _role(name: str, *, writes: bool) -> str:
    return f"${{{{ {f'{ON_MAIN} && vars.{name}_MAIN || ' if writes else ''}vars.{name} }}}}"


def secrets(source: CiSource) -> dict[str, str]:
    return of_secrets(source.application.ci.secrets)


def of_secrets(names: Iterable[str]) -> dict[str, str]:
    """Variables that hold secrets of the same names."""
    return {name: f"${{{{ secrets.{name} }}}}" for name in names}


def read_tokens(source: CiSource) -> dict[str, str]:
    """Secrets that may read the repositories of upstreams; for jobs that run no code of a branch."""
    return of_secrets(upstream_secrets(source))


def app_token(source: CiSource, permissions: Mapping[str, str]) -> tuple[list[Step], str]:
    """The step that signs in as the app, if there is one, and the token to act with."""
    if not source.application.ci.app:
        return [], "${{ github.token }}"
    given = {
        "client-id": "${{ vars.GITML_APP_CLIENT_ID }}",
        "private-key": "${{ secrets.GITML_APP_PRIVATE_KEY }}",
        **{f"permission-{name}": level for name, level in permissions.items()},
    }
    step = use("actions/create-github-app-token", given, more=["id: app"])
    return [step], "${{ steps.app.outputs.token }}"


def cml(source: CiSource) -> list[Step]:
    """CML, where gitml.yaml does not say that gitml posts."""
    if source.application.publisher == "gitml":
        return []
    why = "zizmor: ignore[adhoc-packages] one version, no token in sight, and nothing depends on it"
    # Without internet npm tries for more than a minute, at each push; behind some firewalls for much longer.
    words = f"npm install --global --ignore-scripts --fetch-retries=0 {CML}"
    return [run(words, more=["continue-on-error: true", "timeout-minutes: 2"], why=why)]


def upload(name: str, files: str) -> Step:
    given = {"name": name, "path": f"{HANDOVER}/{files}", "if-no-files-found": "ignore"}
    return use("actions/upload-artifact", given, more=["if: always()"])


def download_fragments() -> Step:
    given = {"pattern": "fragment-*", "path": HANDOVER, "merge-multiple": "true"}
    return use("actions/download-artifact", given)
