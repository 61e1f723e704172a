"""Points of `gitml doctor` about sites: who can read which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from gitml.errors import SpecError
from gitml.project.doctorpoint import Mark, Point
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, load_policy

_NO_CONTROL = "one site for all is no access control"


def site_points(root: Path, application: Application) -> Iterator[Point]:
    """Nothing where no role has a site of its own, and where policy.yaml is wrong, which other points say."""
    try:
        policy = load_policy(root) if (root / POLICY).is_file() else None
    except SpecError:
        return
    publish = application.sites.publish
    if policy is None or not (policy.views or publish):
        return
    places: dict[str, list[str]] = defaultdict(list)
    for role, command in publish.items():
        places[" ".join(command.split())].append(role)
    shared = [roles for roles in places.values() if len(roles) > 1]
    if shared:
        what = f"{_NO_CONTROL}: the sites of {' and '.join(shared[0])} go to one place"
        yield Point("sites", Mark.MISSING, what, "give each role a place of its own under sites.publish in gitml.yaml")
    unseen = [role for role in publish if role not in policy.views]
    if unseen:
        what = f"the site of {', '.join(unseen)} shows everything"
        yield Point("views", Mark.UNKNOWN, what, "say under views in policy.yaml what they see")
    kept = [role for role in policy.views if role not in publish]
    if kept:
        what = f"the sites of {', '.join(kept)} are artifacts of runs: whoever can read the repository can read them"
        yield Point("sites", Mark.OK, what, f"{_NO_CONTROL}: sites.publish in gitml.yaml brings each to its own place")
    elif not shared:
        yield Point("sites", Mark.OK, f"each role's has a place of its own: {', '.join(publish)}")
