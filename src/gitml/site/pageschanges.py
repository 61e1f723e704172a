"""What changed: month by month, environment by environment, and everything behind one change of a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitml.site.facts import SiteCommit, SiteDeployment, SiteFacts
from gitml.site.paging import paged
from gitml.site.render import SitePageFile

_PER_PAGE = 400
# Deployments that have a page of their own, the newest first.
MOST_DEPLOYMENT_PAGES = 300
_MOST_COMMITS = 200


def changes_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    by_month: dict[str, list[SiteCommit]] = {}
    for commit in facts.commits:  # whose dates need not be in order
        by_month.setdefault(commit.time[:7], []).append(commit)
    months = sorted(by_month.items(), reverse=True)
    released = {month: [d for d in facts.deployments if d.time[:7] == month] for month, _ in months}
    rows = [(month, len(commits), released[month]) for month, commits in months]
    yield SitePageFile("changes/index.html", "What changed", "changes-index.html", "changes", {"months": rows})
    for month, commits in months:
        for part in paged(commits, _PER_PAGE, f"changes/{month}.html"):
            data = {"month": month, "part": part, "released": released[month]}
            yield SitePageFile(part.path, f"Changes of {month}", "changes-month.html", "changes", data)
    yield from _deployments(facts)


def has_page(facts: SiteFacts, one: SiteDeployment) -> bool:
    return one in facts.deployments[:MOST_DEPLOYMENT_PAGES]


def _deployments(facts: SiteFacts) -> Iterator[SitePageFile]:
    """Why did this come to that environment: what changed since the one before, who decided, and on what."""
    places = {commit.commit: place for place, commit in enumerate(facts.commits)}
    for place, one in enumerate(facts.deployments[:MOST_DEPLOYMENT_PAGES]):
        earlier = facts.deployments[place + 1 :]
        before = next((d for d in earlier if (d.model, d.environment) == (one.model, one.environment)), None)
        model = facts.model(one.model)
        # What came, and what it stands beside or replaces.
        came, stood = (one.candidate, one.new) if one.candidate else (one.new, one.old)
        data = {
            "one": one,
            "before": before,
            "commits": _between(facts.commits, places, one, before)[:_MOST_COMMITS],
            "changes": model.between.get((stood, came), {}) if model else {},
            "detail": model.details.get(came) if model else None,
            "impacts": [i for i in facts.impacts if (i.commit, i.model, i.environment) == one.key],
            "returns": [r for r in facts.returns if (r.commit, r.model, r.environment) == one.key],
            "causal": facts.causal.get(one.key, ()),
            "previous": model.details.get(stood) if model else None,
        }
        title = f"{one.model} in {one.environment}, {one.time[:10]}"
        yield SitePageFile(f"changes/{one.id}.html", title, "changes-deployment.html", "changes", data)


def _between(
    commits: Sequence[SiteCommit], places: dict[str, int], one: SiteDeployment, before: SiteDeployment | None
) -> Sequence[SiteCommit]:
    """From this change back to the one before; of the model, or of everything."""
    first = places.get(one.commit)
    if first is None:
        return ()
    last = places.get(before.commit, len(commits)) if before else len(commits)
    return [c for c in commits[first:last] if not c.models or one.model in c.models]


def between_page(facts: SiteFacts, since: str, until: str) -> SitePageFile:
    """All that changed after one moment, up to another: days or times, or commits of main's own line."""
    start, end = _moment_of(facts, since, ""), _moment_of(facts, until, "9999")
    data = {
        "since": since or "the beginning",
        "until": until or "now",
        "released": [d for d in facts.deployments if start < d.time <= end],
        "commits": [c for c in facts.commits if start < c.time <= end][:_PER_PAGE],
    }
    return SitePageFile("changes/between", "Between two moments", "changes-between.html", "changes", data)


def _moment_of(facts: SiteFacts, text: str, otherwise: str) -> str:
    """As times of the facts are written: a day as an end takes all of it."""
    commit = next((c for c in facts.commits if len(text) >= 7 and c.commit.startswith(text)), None)
    if commit:
        return commit.time
    return f"{text}T24" if otherwise and len(text) == 10 else text or otherwise


def deployments_pages(facts: SiteFacts) -> Iterator[SitePageFile]:
    """A timeline for each environment: those of policy.yaml in their order, then others that ever had a file."""
    order = [environment.name for environment in facts.environments]
    named = dict.fromkeys([*order, *sorted({d.environment for d in facts.deployments})])
    by_name = {name: [d for d in facts.deployments if d.environment == name] for name in named}
    data = {"by_name": by_name, "known": {one.name: one for one in facts.environments}}
    yield SitePageFile("deployments/index.html", "Deployments", "deployments-index.html", "deployments", data)
    for name, found in by_name.items():
        for part in paged(found, _PER_PAGE, f"deployments/{name}/index.html"):
            states = [state for state in facts.states if state.environment == name]
            shown = {"name": name, "part": part, "states": states}
            yield SitePageFile(
                part.path, f"Deployments in {name}", "deployments-environment.html", "deployments", shown
            )
