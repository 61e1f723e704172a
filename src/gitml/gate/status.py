"""The status of the gate: its name at the forge."""

from __future__ import annotations


def context_of(application: str, folder: str) -> str:
    """Of several applications in one repository each has a status of its own: none opens another's gate.

    >>> context_of("flights", ""), context_of("flights", "apps/flights")
    ('gitml/gate', 'gitml/flights/gate')
    """
    return f"gitml/{application}/gate" if folder else "gitml/gate"
