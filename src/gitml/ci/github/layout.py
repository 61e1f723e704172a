"""The frame of GitHub's workflows: files, names, runners, jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gitml.ci.base import CiSource
from gitml.ci.github.steps import Step, listed, mapping
from gitml.ci.yamltext import scalar

FOLDER = ".github/workflows"
REPORT = "gitml-report"
ALWAYS = "if: ${{ !cancelled() }}"
# Runners of GitHub itself. Whoever can open a pull request must not get one of yours.
_HOSTED = re.compile(r"(ubuntu|windows|macos)-(latest|slim|\d+(\.\d+)?)(-(arm|intel|large|xlarge))?")


def header(folder: str) -> str:
    """The first line of every file that is rendered for the application in ``folder``, and of no other."""
    place = f"{folder}/gitml.yaml" if folder else "gitml.yaml"
    return f"# Rendered from {place}: do not edit, run `gitml ci render`."


def file_name(application: str, folder: str, kind: str) -> str:
    """Of a workflow. Several applications may share a repository; the one at its top has the short names.

    >>> file_name("flights", "", "train"), file_name("flights", "apps/flights", "train")
    ('gitml-train.yml', 'gitml-flights-train.yml')
    """
    return f"gitml-{application}-{kind}.yml" if folder else f"gitml-{kind}.yml"


def path_of(source: CiSource, kind: str) -> str:
    """The file of a workflow, from the top of the repository."""
    return f"{FOLDER}/{file_name(source.application.application, source.folder, kind)}"


def name_of(source: CiSource, kind: str) -> str:
    """The name of a workflow, as people see it and as others listen to it."""
    return f"gitml {source.application.application} {kind}" if source.folder else f"gitml {kind}"


def is_hosted(labels: Sequence[str]) -> bool:
    """Whether these are the labels of a runner of GitHub itself."""
    return len(labels) == 1 and _HOSTED.fullmatch(labels[0]) is not None


def small_labels(source: CiSource) -> Sequence[str]:
    """Where the jobs run that train nothing: on a hosted runner if the application knows one."""
    hardware = list(source.application.hardware.values())
    return next((labels for labels in hardware if is_hosted(labels)), hardware[0])


def small(source: CiSource, minutes: int = 15) -> list[str]:
    """Runner and time-out of a job that trains nothing."""
    return [f"runs-on: {listed(small_labels(source))}", f"timeout-minutes: {minutes}"]


def job_of(name: str, head: Sequence[str], body: Sequence[Step]) -> list[str]:
    """The lines of a job from those before its steps, and its steps."""
    lines = [f"{'- ' if number == 0 else '  '}{line}" for step in body for number, line in enumerate(step)]
    return [f"{name}:", *_in(head), "  steps:", *_in(lines, 4)]


def workflow(
    source: CiSource, kind: str, on: Sequence[str], group: Sequence[str], jobs: Sequence[Sequence[str]]
) -> str:
    """The text of a workflow: what starts it, its concurrency, its jobs."""
    folder: Mapping[str, str] = {"working-directory": scalar(source.folder)} if source.folder else {}
    parts = [
        [f"name: {scalar(name_of(source, kind))}"],
        ["on:", *_in(on)],
        ["permissions: {}"],
        ["concurrency:", *_in(group)],
        *([["defaults:", *_in(mapping("run", folder))]] if folder else []),
        ["jobs:", *_in(jobs[0])],
        *(_in(job) for job in jobs[1:]),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _in(lines: Sequence[str], by: int = 2) -> list[str]:
    return [f"{' ' * by}{line}" for line in lines]
