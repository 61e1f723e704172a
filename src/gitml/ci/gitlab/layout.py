"""The frame of GitLab's files: names, runners, conditions, what every job begins with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from gitml.ci.base import CiSource
from gitml.ci.github.layout import is_hosted, small_labels
from gitml.ci.yamltext import Yaml, dumped
from gitml.errors import UsageError

FOLDER = ".gitlab/ci"
MAIN_FILE = ".gitlab-ci.yml"
# Artifacts are taken from the checkout alone. gitml believes nothing there that Git has.
HANDOVER = ".gitml-ci"
# What the pipeline is for; .gitlab-ci.yml says it, and a job that has a key relies on the branch, not on it.
KIND = "$GITML_WORKFLOW"
_MAIN = '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'
# Signs that GitLab takes for a variable or a glob where a folder stands in a path.
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]*")
# What GitHub calls its own runners, and words that no runner of GitLab has for a tag.
_NO_TAGS = ("self-hosted", "linux", "x64")


def header(folder: str) -> str:
    """The first line of every file that is rendered for the application in ``folder``, and of no other."""
    place = f"{folder}/gitml.yaml" if folder else "gitml.yaml"
    return f"# Rendered from {place}: do not edit, run `gitml ci render`."


def file_name(application: str, folder: str, kind: str) -> str:
    """Of a kind of pipeline.

    >>> file_name("flights", "", "train")
    'gitml-train.yml'
    """
    return f"gitml-{kind}.yml"


def path_of(kind: str) -> str:
    return f"{FOLDER}/gitml-{kind}.yml"


def text_of(source: CiSource, jobs: Mapping[str, Mapping[str, Yaml]]) -> str:
    """A file of these jobs."""
    parts = ["\n".join(dumped({name: job})) for name, job in jobs.items()]
    return "\n\n".join([header(source.folder), *parts]) + "\n"


def check(source: CiSource) -> None:
    """Raises UsageError for a folder that cannot stand in a path of GitLab's."""
    for path in (source.folder, *(p for job in source.jobs for p in job.packages)):
        if not _PLAIN.fullmatch(path):
            raise UsageError(f"{path!r} cannot stand in a pipeline: GitLab would fill it in", "rename it")


def on_main(*kinds: str) -> list[Yaml]:
    """Rules: pipelines of the default branch alone, of these kinds. It must be protected, or no secret is there."""
    named = " || ".join(f'{KIND} == "gitml {kind}"' for kind in kinds)
    return [{"if": f"{_MAIN} && ({named})" if len(kinds) > 1 else f"{_MAIN} && {named}"}]


def tags_of(labels: Sequence[str]) -> list[str]:
    """The tags of a runner; none for what is one of GitHub's own, which any shared runner stands for.

    >>> tags_of(["self-hosted", "gpu"]), tags_of(["ubuntu-latest"])
    (['gpu'], [])
    """
    return [] if is_hosted(labels) else [label for label in labels if label not in _NO_TAGS]


def job_of(
    source: CiSource,
    script: Sequence[str],
    *,
    stage: str,
    rules: Sequence[Yaml],
    needs: Sequence[str] = (),
    labels: Sequence[str] = (),
    minutes: int = 15,
    environment: str = "",
    keep: Sequence[str] = (),
    always: bool = False,
    more: Mapping[str, Yaml] | None = None,
) -> dict[str, Yaml]:
    """A job. ``environment`` names the variables that it gets, ``keep`` what it hands over, from the hand-over folder.

    ``needs`` are jobs whose hand-over it takes, where they are in the pipeline; ``always``: also when they failed.
    """
    tags = tags_of(labels or small_labels(source))
    where = f"{source.folder}/{HANDOVER}" if source.folder else HANDOVER
    job: dict[str, Yaml] = {"stage": stage, "image": f"python:{source.application.ci.python}"}
    job |= {"tags": tags} if tags else {}
    job["rules"] = [{**rule, "when": "always"} if always and isinstance(rule, Mapping) else rule for rule in rules]
    job["needs"] = [{"job": name, "artifacts": True, "optional": True} for name in needs]
    job |= {"environment": {"name": environment, "action": "access"}} if environment else {}
    # The whole history; nothing that an earlier job left; no token in .git/config, which a job's own would be.
    job["variables"] = {"GIT_DEPTH": "0", "GIT_STRATEGY": "clone", "PIP_NO_CACHE_DIR": "1"}
    job |= more or {}
    job |= {"timeout": f"{minutes} minutes", "interruptible": False}
    job["script"] = [*(["cd " + shlex.quote(source.folder)] if source.folder else []), *script]
    if keep:
        job["artifacts"] = {"when": "always", "expire_in": "30 days", "paths": [f"{where}/{name}" for name in keep]}
    return job


def install(source: CiSource, packages: Sequence[str] = (), *, extra: str = "") -> list[str]:
    """gitml and the locked packages; nothing from a cache, which another job could have filled."""
    own = shlex.quote(source.requirement(extra))
    locks = " ".join(f"-r {shlex.quote(p)}" for p in packages)
    if locks and source.hashed:
        return [f"pip install {own}", f"pip install {locks}", "pip check"]
    return [f"pip install {own} {locks}".rstrip()]


def handed(file: str, folder: str) -> list[str]:
    """Each file into a folder of its own name, which is kept: a job cannot speak for another."""
    return [
        f"mkdir -p {HANDOVER}/{folder}",
        f"if [ -e {HANDOVER}/{file} ]; then mv {HANDOVER}/{file} {HANDOVER}/{folder}/; fi",
    ]


def sign_in(source: CiSource, *, writes: bool = True, role: str = "") -> tuple[dict[str, Yaml], list[str]]:
    """The job's own identity for DVC's remote: keys of the job and lines of its script.

    The default branch may have a role of its own, to write with; ``role``: the end of another role's name.
    https://docs.gitlab.com/ci/secrets/id_token_authentication/
    """
    cloud = source.application.ci.oidc
    if cloud is None:
        return {}, []
    audience = "$GITML_AUDIENCE" if cloud == "aws" else "//iam.googleapis.com/$GOOGLE_PROVIDER"
    name = f"{'AWS_ROLE' if cloud == 'aws' else 'GOOGLE_ACCOUNT'}{role}"
    chosen = f'"${{{name}_MAIN:-${name}}}"' if writes and not role else f'"${name}"'
    if writes and not role:
        pick = f'if [ "$CI_COMMIT_BRANCH" = "$CI_DEFAULT_BRANCH" ]; then as={chosen}; else as="${name}"; fi'
    else:
        pick = f"as={chosen}"
    lines = [pick, 'printf %s "$GITML_ID_TOKEN" > "$CI_PROJECT_DIR.id-token"']
    if cloud == "aws":
        lines.append('export AWS_ROLE_ARN="$as" AWS_WEB_IDENTITY_TOKEN_FILE="$CI_PROJECT_DIR.id-token"')
    else:
        lines += [_GOOGLE, 'export GOOGLE_APPLICATION_CREDENTIALS="$CI_PROJECT_DIR.google.json"']
    return {"id_tokens": {"GITML_ID_TOKEN": {"aud": audience}}}, lines


_GOOGLE = """\
cat > "$CI_PROJECT_DIR.google.json" <<END
{"type": "external_account", "audience": "//iam.googleapis.com/$GOOGLE_PROVIDER",
 "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
 "credential_source": {"file": "$CI_PROJECT_DIR.id-token"},
 "service_account_impersonation_url":
 "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/$as:generateAccessToken"}
END"""
