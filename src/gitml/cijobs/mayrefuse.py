"""Whether a person may say no to a retraining: asked when it is said, and again whenever it is read."""

from __future__ import annotations

from gitml.control.place import Place
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
