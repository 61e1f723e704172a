"""The frame of GitLab's files: names, runners, conditions, what every job begins with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from gitml.ci.base import CiSource
from gitml.ci.github.layout import is_hosted
from gitml.ci.yamltext import Yaml, dumped
from gitml.errors import UsageError

FOLDER = ".gitlab/ci"
MAIN_FILE = ".gitlab-ci.yml"
# Artifacts are taken from the checkout alone. gitml believes nothing there that Git has.
HANDOVER = ".gitml-ci"
# What the pipeline is for; .gitlab-ci.yml says it. A job that has a key relies on the branch, and not on it.
KIND = "$GITML_WORKFLOW"
_MAIN = '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'
# What GitLab takes for a variable or a glob is in no folder.
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]*")
# Words that GitHub gives to runners of one's own, and that no runner of GitLab has for a tag.
_NO_TAGS = ("self-hosted", "linux", "x64")


def header(folder: str) -> str:
    """The first line of every file that is rendered for the application in ``folder``, and of no other."""
    place = f"{folder}/gitml.yaml" if folder else "gitml.yaml"
    return f"# Rendered from {place}: do not edit, run `gitml ci render`."


def file_name(application: str, folder: str, kind: str) -> str:
    """Of a kind of pipeline; a project has one application, so its name is in none.

    >>> file_name("flights", "", "train")
    'gitml-train.yml'
    """
    return f"gitml-{kind}.yml"


def path_of(kind: str) -> str:
    return f"{FOLDER}/{file_name('', '', kind)}"


def text_of(source: CiSource, jobs: Mapping[str, Mapping[str, Yaml]]) -> str:
    """A file of these jobs."""
    parts = ["\n".join(dumped({name: job})) for name, job in jobs.items()]
    return "\n\n".join([header(source.folder), *parts]) + "\n"


def check(source: CiSource) -> None:
    """Raises UsageError for a path that GitLab would fill in."""
    for path in (source.folder, *(p for job in source.jobs for p in job.packages)):
        if not _PLAIN.fullmatch(path):
            raise UsageError(f"{path!r} cannot stand in a pipeline: GitLab would fill it in", "rename it")


def on_main(*kinds: str) -> Mapping[str, Yaml]:
    """Pipelines of the default branch alone, of these kinds. It must be protected, or it has no secret."""
    named = " || ".join(f'{KIND} == "gitml {kind}"' for kind in kinds)
    return {"if": f"{_MAIN} && ({named})" if len(kinds) > 1 else f"{_MAIN} && {named}"}


def tags_of(labels: Sequence[str]) -> list[str]:
    """The tags of a runner; none for what is one of GitHub's own, which any shared runner stands for.

    >>> tags_of(["self-hosted", "gpu"]), tags_of(["ubuntu-latest"])
    (['gpu'], [])
    """
    return [] if is_hosted(labels) else [label for label in labels if label not in _NO_TAGS]


def job_of(source: CiSource, script: Sequence[str], rules: Sequence[Yaml], more: Mapping[str, Yaml]) -> dict[str, Yaml]:
    """A job with what every one has; ``more`` are its other keys, which win."""
    return {
        "stage": "gitml",
        "image": f"python:{source.application.ci.python}",
        "rules": [*rules],
        "needs": [],
        # The whole history, and nothing that an earlier job left on the runner.
        "variables": {"GIT_DEPTH": "0", "GIT_STRATEGY": "clone"},
        "timeout": "15 minutes",
        **more,
        "script": [*enter(source), f'export GITML_CI="$PWD/{HANDOVER}"', *script],
    }


def enter(source: CiSource) -> list[str]:
    """Into the folder of the application."""
    return [f"cd {shlex.quote(source.folder)}"] if source.folder else []


def place_of(source: CiSource) -> str:
    """The hand-over folder, from the top of the repository."""
    return source.in_repository(HANDOVER)


def kept(source: CiSource, *names: str) -> dict[str, Yaml]:
    """What a job hands over, also when it failed."""
    paths = [f"{place_of(source)}/{name}" for name in names]
    return {"artifacts": {"when": "always", "expire_in": "30 days", "paths": paths}} if paths else {}


def after(*jobs: str) -> list[Yaml]:
    """Jobs to wait for, where they are in the pipeline; what they hand over is taken."""
    return [{"job": name, "artifacts": True, "optional": True} for name in jobs]


def install(source: CiSource, packages: Sequence[str] = (), extra: str = "") -> list[str]:
    """gitml and the locked packages; nothing from a cache, which another job could have filled."""
    own = shlex.quote(source.requirement(extra))
    locks = " ".join(f"-r {shlex.quote(p)}" for p in packages)
    if locks and source.hashed:
        return [f"pip install {own}", f"pip install {locks}", "pip check"]
    return [f"pip install {own} {locks}".rstrip()]


def sign_in(source: CiSource, *, writes: bool = True, role: str = "") -> tuple[dict[str, Yaml], list[str]]:
    """The job's own identity for DVC's remote: keys of the job, and lines of its script.

    The default branch may have a role of its own, to write with; ``role``: the end of another role's name.
    https://docs.gitlab.com/ci/secrets/id_token_authentication/
    """
    cloud = source.application.ci.oidc
    if cloud is None:
        return {}, []
    name = f"{'AWS_ROLE' if cloud == 'aws' else 'GOOGLE_ACCOUNT'}{role}"
    lines = [f'as="${name}"']
    if writes and not role:
        lines.append(f'if [ "$CI_COMMIT_BRANCH" = "$CI_DEFAULT_BRANCH" ]; then as="${{{name}_MAIN:-${name}}}"; fi')
    lines.append('printf %s "$GITML_ID_TOKEN" > "$CI_PROJECT_DIR.id-token"')
    if cloud == "aws":
        lines.append('export AWS_ROLE_ARN="$as" AWS_WEB_IDENTITY_TOKEN_FILE="$CI_PROJECT_DIR.id-token"')
        return {"id_tokens": {"GITML_ID_TOKEN": {"aud": "$GITML_AUDIENCE"}}}, lines
    lines += [_GOOGLE, 'export GOOGLE_APPLICATION_CREDENTIALS="$CI_PROJECT_DIR.google.json"']
    return {"id_tokens": {"GITML_ID_TOKEN": {"aud": "https://iam.googleapis.com/$GOOGLE_PROVIDER"}}}, lines


_GOOGLE = """\
cat > "$CI_PROJECT_DIR.google.json" <<END
{"type": "external_account", "audience": "//iam.googleapis.com/$GOOGLE_PROVIDER",
 "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
 "credential_source": {"file": "$CI_PROJECT_DIR.id-token"}, "service_account_impersonation_url":
 "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/$as:generateAccessToken"}
END"""
