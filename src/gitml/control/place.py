"""Where decisions are made: the clone, the forge, the repository's remote, and the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from gitml.clock import LOOPBACK, now
from gitml.control.mainline import Mainline
from gitml.errors import OutsideError
from gitml.forges.governed import Account, GovernedForge
from gitml.forges.settings import Settings
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.commands import Git
from gitml.git.edit import Who, bring, tip_of
from gitml.git.orphan import Remote


@dataclass(frozen=True)
class Place:
    """A clone at ``root`` and its repository on the forge. ``clock`` gives the time in UTC, ``secret`` the value of a
    secret that gitml.yaml names, '' where it is not there."""

    root: Path
    forge: GovernedForge
    settings: Settings
    say: Callable[[str], None] = lambda _: None
    clock: Callable[[], datetime] = field(default=now)
    secret: Callable[[str], str] = field(default=lambda _: "", repr=False)

    @cached_property
    def git(self) -> Git:
        return Git(self.root)

    @cached_property
    def remote(self) -> Remote:
        return Remote(f"{self.settings.home}.git", self.settings.token)

    @cached_property
    def branch(self) -> str:
        """The default branch."""
        return self.forge.about().default_branch

    @cached_property
    def me(self) -> Account | None:
        """Whose token it is; None for one that is nobody's, as a job's."""
        login = self.forge.me()
        return self.forge.people.find(login) if login else None

    def newest(self, *, whole: bool = False) -> Mainline:
        """The default branch as the forge has it now; ``whole``: with its history. No ref of the clone moves."""
        commit = tip_of(self.root, self.remote, self.branch)
        if commit is None:
            raise OutsideError(f"the repository has no branch {self.branch} yet", "git push origin HEAD")
        bring(self.git, self.remote, commit, whole=whole)
        return Mainline(self.git, commit)

    def page(self, path: str) -> str:
        """An address below the repository's page."""
        return self.settings.page(path)

    def who(self) -> Who:
        """Who signs commits made here. By the address the forge knows the account."""
        if self.me is None:
            return Who(BOT_NAME, BOT_EMAIL)
        host = urlsplit(self.settings.web).hostname or "localhost"
        mail = "localhost" if host in LOOPBACK else host
        return Who(self.me.login, f"{self.me.id}+{self.me.login}@users.noreply.{mail}")
