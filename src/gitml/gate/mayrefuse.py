"""Whether a person may say no to a retraining: asked when it is said, and again whenever it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import SpecError
from gitml.gate.people import person_of, teams_of
from gitml.policy.people import holds
from gitml.retraining.declined import roles_that_decline
from gitml.spec.policy import Policy


def why_may_not(place: Place, policy: Policy, login: str) -> str:
    """Why a person may not, as the rest of a sentence that begins with the login; or "". Raises OutsideError."""
    account = place.forge.people.find(login) if login else None
    if account is None:
        return "is nobody at the forge"
    teams, roles = teams_of(place, policy), roles_that_decline(policy)
    if any(holds(policy, role, person_of(account), teams).holds for role in roles):
        return ""
    return f"holds none of the roles {', '.join(roles) or '(there are none)'}"


@dataclass
class DeclineRights:
    """Who might say no to a retraining at a moment, by the roles of main as it was then.

    Who was in a team then nobody can tell: the forge says who is now.
    """

    main: Mainline
    place: Place
    _known: dict[tuple[str, datetime], bool] = field(default_factory=dict, repr=False)

    def __call__(self, login: str, at: datetime) -> bool:
        """Raises OutsideError when the forge does not answer."""
        key = login.lower(), at
        if key not in self._known:
            main = main_at(self.main, at)
            try:
                policy = main.policy() if main else None
            except SpecError:
                policy = None  # nobody had a right by rules that could not be read
            self._known[key] = policy is not None and not why_may_not(self.place, policy, login)
        return self._known[key]


def main_at(main: Mainline, at: datetime) -> Mainline | None:
    """Main as it was; None before its first commit."""
    words = ("rev-list", "-1", "--first-parent", f"--before={at.timestamp():.0f}", main.commit)
    commit = main.git.text(*words).strip()
    return Mainline(main.git, commit) if commit else None
