"""The jobs and folders of Jenkins, as a script of the plugin Job DSL: who builds what, and where credentials lie.

https://jenkinsci.github.io/job-dsl-plugin
"""

from __future__ import annotations

from collections.abc import Iterable

from gitml.ci.base import CiSource
from gitml.ci.jenkins.groovy import block, quoted
from gitml.ci.jenkins.layout import home_of, path_of

# What has keys of its own lies in a folder of its own; all else of the default branch is in ``main``.
PLACES = {"monitor": "looks", "replay": "looks", "export": "looks", "site": "site", "subjects": "subjects"}
_OWN = "gitml-assets gitml-ledger gitml-looked gitml-looks gitml-served gh-readonly-queue/*"


def full_name(source: CiSource, kind: str) -> str:
    """The job of a pipeline of the default branch, from the top of Jenkins."""
    return f"/{home_of(source)}/{PLACES.get(kind, 'main')}/{kind}"


def jobs(source: CiSource, kinds: Iterable[str]) -> list[str]:
    """``kinds`` are the pipelines of the default branch."""
    kinds = list(kinds)
    home = home_of(source)
    places = dict.fromkeys(["main", *(PLACES.get(kind, "main") for kind in kinds)])
    lines = [f"folder({quoted(home)})", *(f"folder({quoted(f'{home}/{place}')})" for place in places)]
    if source.jobs:
        lines += ["", *_branches(source)]
    for kind in (*(["report"] if source.jobs else []), *kinds):
        lines += ["", *_one(source, kind)]
    return lines


def _branches(source: CiSource) -> list[str]:
    git = [
        "id('gitml')",
        "remote(GITML_REMOTE)",
        "credentialsId('GITML_CLONE')",
        "includes('*')",
        f"excludes('{_OWN}')",
    ]
    return block(
        f"multibranchPipelineJob({quoted(f'{home_of(source)}/branches')})",
        block("branchSources", block("git", git)),
        block("factory", block("workflowBranchProjectFactory", [f"scriptPath({quoted(path_of(source, 'train'))})"])),
        block("orphanedItemStrategy", block("discardOldItems", ["numToKeep(20)"])),
        block("triggers", block("periodicFolderTrigger", ["interval('5m')"])),
    )


def _one(source: CiSource, kind: str) -> list[str]:
    remote = block("remote", ["url(GITML_REMOTE)", "credentials('GITML_CLONE')"])
    git = block("git", remote, [f"branch({quoted(f'refs/heads/{source.application.ci.branch}')})"])
    script = f"scriptPath({quoted(path_of(source, kind))})"
    return block(
        f"pipelineJob({quoted(full_name(source, kind)[1:])})",
        block("definition", block("cpsScm", block("scm", git), [script])),
    )
