"""What all pull requests are judged by: main, its policy, the ledger by its keys, the DVC remotes that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, heard_or_unknown
from gitml.dvc.addresses import places_of
from gitml.dvc.remotes import Depot, depot
from gitml.errors import GitmlError
from gitml.gate.seen import NOBODY_ASKS, Seen, seen_or_unknown
from gitml.gates.facts import Unknown
from gitml.spec.dvcconfig import DVC_CONFIG
from gitml.spec.policy import POLICY, Policy


@dataclass(frozen=True)
class Ground:
    """What all pull requests are judged by: ``main`` as the forge has it now, its policy, the ledger by its keys, and
    what the monitors saw, where the policy asks for it."""

    main: Mainline
    policy: Policy
    digest: str
    heard: BelievedEvents | Unknown
    depot: Depot | None = None
    seen: Seen = NOBODY_ASKS

    def listening(self, heard: BelievedEvents | Unknown) -> Ground:
        """The same with the ledger as it is now."""
        return replace(self, heard=heard)


@contextmanager
def ground(place: Place, main: Mainline | None = None) -> Iterator[Ground]:
    """Raises SpecError when the base branch has no policy.yaml that can be read."""
    main = main or place.newest(whole=True)
    policy, raw = main.policy(), main.file(POLICY) or b""
    heard = heard_or_unknown(place, policy)
    seen = seen_or_unknown(place, policy, heard)
    yield Ground(main, policy, sha256(raw).hexdigest(), heard, _remotes(place, main), seen)


def _remotes(place: Place, main: Mainline) -> Depot | None:
    """The DVC remotes as the base branch names them: no branch vouches for itself by a store of its own.

    The key is near: no configuration of DVC counts, not this machine's either. Credentials are in the environment.
    """
    try:
        return depot(places_of(main.file(DVC_CONFIG) or b""))
    except GitmlError as exc:
        place.say(f"the DVC remotes cannot be read: {exc.message.splitlines()[0]}")
        return None
