"""The table of operations: for each its method, and its path as GitLab's description writes it, what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forges.gitlab_standin.world import Ask

Answer = Callable[[Ask], Any]
OPERATIONS: dict[tuple[str, str], Answer] = {}
ID, MR = "/projects/{id}", "/projects/{id}/merge_requests/{merge_request_iid}"
REPOSITORY = f"{ID}/repository"


def op(method: str, path: str) -> Callable[[Answer], Answer]:
    def put(answer: Answer) -> Answer:
        OPERATIONS[method, path] = answer
        return answer

    return put
