"""The ledger as a clone has it, the repository that it belongs to, and the keys of main."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gitml.control.mainline import Mainline
from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.forges.settings import Settings
from gitml.forges.table import settings_from
from gitml.git import history, ledger
from gitml.git.commands import Git
from gitml.spec import Policy


@dataclass(frozen=True)
class Here:
    """A clone at ``root``. ``named`` is ``owner/name`` where the user says it; ``env`` is the environment."""

    root: Path
    env: Mapping[str, str]
    named: str = ""

    @cached_property
    def git(self) -> Git:
        return Git(self.root)

    @cached_property
    def origin(self) -> str:
        """The URL of the remote origin, or empty."""
        try:
            return self.git.text("remote", "get-url", "origin").strip()
        except OutsideError:
            return ""

    @cached_property
    def settings(self) -> Settings:
        """Where the repository is on its forge. Raises UsageError when nothing says that."""
        env = {**self.env, "GITHUB_REPOSITORY": self.named} if self.named else self.env
        try:
            return settings_from(env, self.origin)
        except UsageError as exc:
            raise UsageError(exc.message, "say it with --repository OWNER/NAME, or set GITHUB_REPOSITORY") from None

    @property
    def repository(self) -> str:
        return self.settings.repository

    @cached_property
    def main(self) -> Mainline:
        """main as this clone has it. Raises InconclusiveError when it has none."""
        ref = self.git.main_ref()
        commit = self.git.resolve(ref) if ref else None
        if commit is None:
            raise InconclusiveError("this clone has no main branch", "git fetch origin")
        return Mainline(self.git, commit)

    def policy(self) -> Policy:
        return self.main.policy()

    def refresh(self, branch: str = ledger.BRANCH) -> None:
        """Fetch the remote's branches, and the ledger under a name that never moves backwards.

        ``branch``: another one of its form.

        Raises IntegrityError when the ledger was rewritten since this clone saw it.
        """
        self._remote().git(self.root, "fetch", "--quiet", "origin")
        ledger.fetch(self.root, self._remote(), branch)

    def _remote(self) -> ledger.Remote:
        if not self.origin:
            raise UsageError("this clone has no remote called origin", "git remote add origin URL")
        try:
            return ledger.Remote(self.origin, self.settings.token)
        except UsageError:
            return ledger.Remote(self.origin)

    def heads(self, branch: str = ledger.BRANCH) -> tuple[str, ...]:
        """The ledger's newest commit, and then those that this clone knows besides and that it does not contain."""
        refs = ledger.names_of(branch)
        known = list(dict.fromkeys(h for h in (ledger.head(self.root, ref) for ref in refs) if h))
        if len(known) < 2:
            return tuple(known)
        lines = {head: set(history.commits(self.root, head)) for head in known}
        whole = [head for head in known if lines[head].issuperset(known)]
        return tuple(whole or known)

    def heads_of_rewritten(self, branch: str = ledger.BRANCH) -> tuple[str, ...]:
        """The same where ``refresh`` failed: what the server has now, "" for nothing, then what this clone saw."""
        seen = ledger.head(self.root, ledger.local_of(branch))
        now = ledger.fetch_as_is(self.root, self._remote(), branch) or ""
        return (now, *([seen] if seen else []))
