"""Which repository, on which forge, and as whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gitml.clock import LOOPBACK


@dataclass(frozen=True)
class Settings:
    """Which repository, where, and as whom. ``bot`` is the login that the token writes as, where somebody knows it.

    ``forge`` is the name of the adapter in ``gitml.forges.table``. ``host`` is where somebody said that the forge is,
    as ``host_of`` calls it; empty where that is only assumed. ``variable`` is the one that holds the token.
    ``below`` and ``pull`` are parts of the addresses of pages.
    """

    api: str
    web: str
    repository: str
    token: str = field(default="", repr=False)
    bot: str = ""
    forge: str = "github"
    host: str = ""
    variable: str = "GITHUB_TOKEN"
    below: str = ""
    pull: str = "pull"

    @property
    def home(self) -> str:
        """The repository's page."""
        return f"{self.web}/{self.repository}"

    @property
    def pages(self) -> str:
        """What the pages of commits, files and pull requests lie below."""
        return f"{self.home}{self.below}"

    def page(self, path: str) -> str:
        """Of ``commit/SHA``, ``blob/COMMIT/PATH``, ``raw/BRANCH/PATH`` or ``pull/N``, the address on this forge."""
        kind, _, rest = path.partition("/")
        return f"{self.pages}/{self.pull if kind == 'pull' else kind}/{rest}"


def host_of(url: str) -> str:
    """The host of a web address, one word for all names of this machine.

    >>> host_of("https://GitHub.com/ada"), host_of("http://127.0.0.1:8471"), host_of("")
    ('github.com', 'localhost', '')
    """
    host = (urlsplit(url).hostname or "").lower()
    return "localhost" if host in LOOPBACK else host


def place_of(url: str) -> tuple[str, str]:
    """Web address and ``owner/name`` of a remote's URL: https://…, ssh://…, or git@host:owner/name.

    >>> place_of("git@github.com:ada/flights.git")
    ('https://github.com', 'ada/flights')
    >>> place_of("http://x:secret@127.0.0.1:8471/ada/flights.git")
    ('http://127.0.0.1:8471', 'ada/flights')
    """
    short = re.fullmatch(r"(?:[^@/]+@)?([A-Za-z0-9.-]+):(?!//)(.+)", url)
    if short:
        return f"https://{short[1]}", short[2].removesuffix("/").removesuffix(".git")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return "", ""
    is_web = parts.scheme in ("http", "https")
    port = f":{parts.port}" if parts.port and is_web else ""
    scheme = parts.scheme if is_web else "https"
    return f"{scheme}://{parts.hostname}{port}", parts.path.strip("/").removesuffix(".git")
