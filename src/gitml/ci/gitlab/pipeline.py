"""All files of GitLab's CI: the one that GitLab reads, and those that it includes.

https://docs.gitlab.com/ci/yaml/
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github.collect import wants_collection
from gitml.ci.github.main import wants_reproduction
from gitml.ci.github.monitor import wants_looks
from gitml.ci.github.replay import wants_replays
from gitml.ci.github.site import wants_sites
from gitml.ci.gitlab.layout import MAIN_FILE, check, path_of, text_of
from gitml.ci.gitlab.promote import collect, gate, main, reproduce
from gitml.ci.gitlab.train import report, train
from gitml.ci.gitlab.watch import monitor, replay, site
from gitml.ci.yamltext import Yaml, dumped

# Not at the full hour, when everybody's schedules come.
_TIMES = {
    "report": "*/10 * * * *",
    "gate": "17 * * * *",
    "main": "41 3 * * *",
    "reproduce": "53 3 * * *",
    "collect": "7,22,37,52 * * * *",
    "monitor": "37 * * * *",
    "replay": "47 * * * *",
    "site": "23 4 * * *",
}
_FIRST = "# Rendered by gitml: do not edit, run `gitml ci render`. Jobs of your own belong into files of .gitlab/ci."
_STAGES = (".pre", "build", "test", "gitml-train", "gitml-sign", "gitml-tell", "gitml-gate", "deploy", ".post")


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
    check(source)
    files = {path_of(kind): text_of(source, jobs) for kind, jobs in _jobs(source).items()}
    return {MAIN_FILE: _main_file(), **files}


def schedules(source: CiSource) -> dict[str, str]:
    """Description → times of the schedules on the default branch."""
    kinds = [kind for kind in _jobs(source) if kind != "train"]
    return {f"gitml {kind}": _TIMES[kind] for kind in kinds}


def _jobs(source: CiSource) -> dict[str, dict[str, dict[str, Yaml]]]:
    """The jobs of each file."""
    found = {"train": train(source), "report": report(source)} if source.jobs else {}
    policy = source.policy
    if policy is not None:
        found |= {"gate": gate(source), "main": main(source)}
        found |= {"reproduce": reproduce(source)} if wants_reproduction(policy) else {}
        found |= {"collect": collect(source)} if wants_collection(policy) else {}
        found |= {"monitor": monitor(source)} if wants_looks(policy) else {}
        found |= {"site": site(source)} if wants_sites(source) else {}
        found |= {"replay": replay(source)} if wants_replays(policy) else {}
    return found


def _main_file() -> str:
    """What the pipeline is for, and all else included. What a branch has here counts in its own pipelines alone."""
    here = "$CI_COMMIT_BRANCH"
    kinds = {
        '$CI_PIPELINE_SOURCE == "schedule"': "$CI_PIPELINE_SCHEDULE_DESCRIPTION",
        # A webhook of merge requests triggers the default branch.
        '$CI_PIPELINE_SOURCE == "trigger"': "gitml gate",
        '$CI_PIPELINE_SOURCE == "merge_request_event"': "merge request",
        f"{here} == $CI_DEFAULT_BRANCH": "gitml main",
        here: "gitml train",
    }
    rules: list[Yaml] = [{"if": test, "variables": {"GITML_WORKFLOW": name}} for test, name in kinds.items()]
    whole: dict[str, Yaml] = {
        "stages": list(_STAGES),
        "include": [{"local": "/.gitlab/ci/*.yml"}],
        "workflow": {
            "name": "$GITML_WORKFLOW",
            "auto_cancel": {"on_new_commit": "interruptible"},
            "rules": [*rules, {"when": "always"}],
        },
    }
    return "\n".join([_FIRST, *dumped(whole)]) + "\n"
