"""What a stage reads must stay as it is while the stage runs.

DVC takes the digests of dependencies after the command ended: code that was edited meanwhile would be named as the code
that made the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitml.dvc.lockentries import Entry, same_value
from gitml.dvc.repository import Dvc
from gitml.errors import FailedError


@dataclass(frozen=True)
class Watched:
    """A stage's inputs as they were before it ran."""

    stage: str
    inputs: Entry

    @classmethod
    def now(cls, dvc: Dvc, stage: str) -> Watched | None:
        """None for data that is only brought in: nothing runs."""
        if not dvc.has_command(stage):
            return None
        with dvc.locked():
            inputs = dvc.inputs(stage)
        return cls(stage, inputs)

    def refuse_changes(self, entry: Entry) -> None:
        """Raise FailedError if ``entry``, written after the run, names other inputs."""
        if entry.inputs_digest() == self.inputs.inputs_digest():
            return
        before = {c.path: c.digest for c in self.inputs.deps}
        changed = [c.path for c in entry.deps if before.get(c.path) != c.digest]
        changed += [file for file in entry.params if not same_value(entry.params[file], self.inputs.params.get(file))]
        changed += ["dvc.yaml"] if entry.cmd != self.inputs.cmd else []
        raise FailedError(
            f"{', '.join(changed) or 'the list of dependencies'} changed while stage {self.stage} ran: "
            "nobody knows which of the two the result is from, so it is not recorded",
            "leave the files alone while it runs (a worktree of its own helps), and run `gitml train` again",
        )
