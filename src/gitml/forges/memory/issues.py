"""Issues."""

from __future__ import annotations

from gitml.forges.base import ForgeIssue
from gitml.forges.memory.session import Session, refused


class MemoryIssues:
    def __init__(self, session: Session) -> None:
        self._session = session

    def labelled(self, label: str) -> tuple[ForgeIssue, ...]:
        with self._session.turn() as state:
            return tuple(issue for of, issue in reversed(state.issues) if of == label)

    def open(self, title: str, body: str, label: str) -> ForgeIssue:
        with self._session.turn() as state:
            if not title.strip():
                raise refused(422, "an issue has a title")
            number = state.number()
            made = ForgeIssue(number, title, self._session.host.page(f"issues/{number}"), is_open=True, body=body)
            state.issues.append((label, made))
            return made
