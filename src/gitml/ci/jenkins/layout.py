"""The frame of Jenkins's files: names, agents, the shell around a command of gitml."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from gitml.ci.base import CiSource
from gitml.ci.jenkins.groovy import block, quoted, script
from gitml.errors import UsageError

FOLDER = ".jenkins"
# Where jobs hand over: beside the workspace, so that nothing of the checkout is in it; emptied by each job.
HANDOVER = "${env.WORKSPACE_TMP}/gitml"
# What Jenkins says to its jobs, and what would change the programs that jobs call.
_TAKEN = re.compile(
    r"(BUILD|JENKINS|WORKSPACE|BRANCH|CHANGE|JOB|NODE|EXECUTOR|GIT|RUN|STAGE|HUDSON|LD|PYTHON|PIP|VIRTUAL)(_.*)?|SITE"
)
_ATOM = re.compile(r"[A-Za-z0-9_.-]+")


def header(folder: str) -> str:
    """The first line of every file that is rendered for the application in ``folder``, and of no other."""
    place = f"{folder}/gitml.yaml" if folder else "gitml.yaml"
    return f"// Rendered from {place}: do not edit, run `gitml ci render`."


def file_name(application: str, folder: str, kind: str) -> str:
    """Of a pipeline.

    >>> file_name("flights", "", "train"), file_name("flights", "apps/flights", "train")
    ('gitml-train.Jenkinsfile', 'gitml-flights-train.Jenkinsfile')
    """
    return f"gitml-{application}-{kind}.Jenkinsfile" if folder else f"gitml-{kind}.Jenkinsfile"


def path_of(source: CiSource, kind: str) -> str:
    """The file of a pipeline, from the top of the repository."""
    return f"{FOLDER}/{file_name(source.application.application, source.folder, kind)}"


def home_of(source: CiSource) -> str:
    """The folder of Jenkins that holds the application's jobs."""
    return f"gitml-{source.application.application}" if source.folder else "gitml"


def agent(labels: Sequence[str]) -> str:
    """An agent that has all ``labels``. Raises UsageError for one that no label expression can name.

    >>> agent(("linux", "big gpu"))
    'agent { label \\'linux && "big gpu"\\' }'
    """
    bad = next((label for label in labels if '"' in label or "\\" in label), None)
    if bad is not None:
        raise UsageError(f"no expression of Jenkins can name the label {bad!r}", "give the agent another label")
    words = (label if _ATOM.fullmatch(label) else f'"{label}"' for label in labels)
    return f"agent {{ label {quoted(' && '.join(words))} }}"


def credentials(secrets: Mapping[str, str]) -> list[str]:
    """Variables from credentials of the kind *secret text*, which Jenkins looks for in the folder of the job."""
    bad = next((name for name in secrets if _TAKEN.fullmatch(name)), None)
    if bad is not None:
        raise UsageError(f"a secret called {bad} would take the place of a variable of Jenkins", "give it another name")
    return block("environment", [f"{name} = credentials({quoted(kept)})" for name, kept in secrets.items()])


def fresh() -> list[str]:
    """An empty workspace and an empty hand-over folder: an agent keeps both from one build to the next."""
    return ["deleteDir()", f'dir("{HANDOVER}") {{ deleteDir() }}']


def shell(lines: Iterable[str]) -> list[str]:
    """The step ``sh``."""
    first, *rest = script("\n".join(["set -eu", *lines]))
    return [f"sh {first}", *rest]


def about(*, pinned: bool = False) -> list[str]:
    """Shell: what the job is about, in the variables that gitml reads."""
    commit = 'git checkout -q --detach "$GITML_COMMIT"' if pinned else 'GITML_COMMIT="$(git rev-parse HEAD)"'
    return [
        commit,
        'GITML_REMOTE="$(git remote get-url origin)"',
        'GITML_CI="$WORKSPACE_TMP/gitml"',
        'GITML_RUN="${GITML_RUN:-$BUILD_NUMBER}"',
        'GITML_RUN_URL="${GITML_RUN_URL:-$BUILD_URL}"',
        "export GITML_COMMIT GITML_REMOTE GITML_CI GITML_RUN GITML_RUN_URL",
    ]


def installed(source: CiSource, packages: Sequence[str], extra: str) -> list[str]:
    """Shell: gitml and the locked packages in an environment of this build alone, then the application's folder."""
    own = shlex.quote(source.requirement(extra))
    place = '"$WORKSPACE_TMP/venv"'
    lines = [f"rm -rf {place}", f"python{source.application.ci.python} -m venv {place}"]
    lines += ['PATH="$WORKSPACE_TMP/venv/bin:$PATH"', "export PATH"]
    folder = [f"cd {shlex.quote('./' + source.folder)}"] if source.folder else []
    locks = " ".join(f"-r {shlex.quote(path)}" for path in packages)
    lines += [
        f"(cd {shlex.quote('./' + source.folder)} && pip install -q {own})"
        if source.folder
        else f"pip install -q {own}"
    ]
    return [*lines, *folder, *([f"pip install -q {locks}", "pip check"] if locks else [])]
