"""``agents`` of policy.yaml: which accounts are coding agents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gitml.fields import FileSection, Login, Text


class Agents(FileSection):
    """Coding agents: their review never counts, and whoever started one counts as an author of what it made."""

    accounts: tuple[Login, ...] = Field((), description="Their accounts, beside those whose login ends in [bot].")
    addresses: tuple[Text, ...] = Field(
        (), description="Their e-mail addresses, as they stand in commits and Co-authored-by trailers."
    )
    trailers: tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,99}$")], ...] = Field(
        (), description="Trailers of commits that name who started the agent, by login, beside Gitml-Requested-By."
    )

    def has(self, login: str, email: str = "") -> bool:
        """Whether an account or address is an agent's."""
        by_login = login.lower() in {account.lower() for account in self.accounts}
        return by_login or (bool(email) and email.lower() in {address.lower() for address in self.addresses})
