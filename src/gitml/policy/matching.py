"""People onto seats, each on one: so many seats as possible are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def assign(seats: Mapping[str, int], roles: Sequence[Sequence[str]]) -> dict[int, str]:
    """Person (place in ``roles``) → role. ``roles[p]`` are those that person p may speak for.

    The largest matching that there is (augmenting paths; Kuhn 1955), so whoever holds two roles never takes the only
    seat that another could have filled. Earlier people keep a seat once they have one.

    >>> assign({"operations": 1, "risk": 1}, [["operations", "risk"], ["operations"]])
    {0: 'risk', 1: 'operations'}
    """
    taken: dict[str, list[int]] = {role: [] for role in seats}

    def place(person: int, tried: set[str]) -> bool:
        for role in roles[person]:
            if role not in taken or role in tried:
                continue
            tried.add(role)
            if len(taken[role]) < seats[role]:
                taken[role].append(person)
                return True
            for other in taken[role]:
                if place(other, tried):
                    taken[role].remove(other)
                    taken[role].append(person)
                    return True
        return False

    for person in range(len(roles)):
        place(person, set())
    return dict(sorted((person, role) for role, people in taken.items() for person in people))
