"""Whether the forge knows whose commits are made here: nobody can approve what nobody is known to have made."""

from __future__ import annotations

import re

from gitml.errors import GitmlError
from gitml.forges.base import Forge
from gitml.git.commands import Git
from gitml.project.doctorpoint import Mark, Point

_NAME = "identity"
# An address that a forge itself gives to an account.
_NOREPLY = re.compile(r"(\d+\+)?[A-Za-z0-9-]+@users\.noreply\.[a-z0-9.-]+")
_TODO = "add it to your account (settings, e-mails), or set `git config user.email` to one that is there"


def identity(forge: Forge, git: Git) -> Point:
    """By the newest commit on the forge with the address that Git uses here."""
    email = _email(git)
    if not email:
        return Point(_NAME, Mark.UNKNOWN, "Git has no e-mail address here", "git config user.email ADDRESS")
    if _NOREPLY.fullmatch(email):
        return Point(_NAME, Mark.OK, f"{email} is an address of the forge's own")
    words = ("log", "-1", "--fixed-strings", f"--author=<{email}>", "--format=%H", "--remotes")
    try:
        commit = git.text(*words).strip()
        login = forge.commits.author(commit) if commit else ""
    except GitmlError as exc:
        return Point(_NAME, Mark.UNKNOWN, f"whose {email} is cannot be asked: {exc.message.splitlines()[0]}", _TODO)
    if not commit:
        return Point(_NAME, Mark.UNKNOWN, f"no commit of {email} is on the forge yet", "call this after the first push")
    if not login:
        told = f"the forge links {email} with no account: no promotion of what you commit can be approved"
        return Point(_NAME, Mark.MISSING, told, _TODO)
    return Point(_NAME, Mark.OK, f"commits of {email} are by {login}")


def _email(git: Git) -> str:
    try:
        return git.text("config", "--get", "user.email").strip()
    except GitmlError:
        return ""
