"""``detectors`` of monitors in gitml.yaml: methods that look at rows of many columns at once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import FileSection, Flag, Number, RepoPath, WrongValueError

DetectorName = Literal["domain-classifier"]
_Input = Annotated[str, Field(min_length=1, max_length=200)]


class MonitorDetector(FileSection):
    """One detector: a method of gitml by its name, or a folder that alibi-detect wrote."""

    name: DetectorName | None = Field(
        None, description="domain-classifier: how well a classifier tells rows of the window from rows of the training."
    )
    alibi: RepoPath | None = Field(
        None, description="A folder that `save_detector` of alibi-detect wrote, such as detectors/income."
    )
    columns: tuple[_Input, ...] = Field(
        (),
        description="Inputs that the detector of alibi-detect was saved with, in the order of its x_ref; by default "
        "all that are watched, in the order of the signature.",
    )
    accept_bsl: Flag = Field(
        False,
        description="alibi-detect from 0.11.5 on is under the Business Source License 1.1, which does not allow use in "
        "production without a licence: true says that you have one. Without it 0.11.4 (Apache-2.0) is used.",
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.name is None) == (self.alibi is None):
            raise WrongValueError("a detector has a name or a folder", "write {name: domain-classifier} or {alibi: …}")
        if self.accept_bsl and self.alibi is None:
            raise WrongValueError("accept_bsl is about alibi-detect", "remove the line")
        if self.columns and self.alibi is None:
            raise WrongValueError("columns are those of a detector of alibi-detect", "remove the line")
        return self

    @property
    def shown(self) -> str:
        """How reports call it.

        >>> MonitorDetector(alibi="detectors/income").shown
        'alibi detectors/income'
        """
        return self.name or f"alibi {self.alibi}"


class MonitorDetectors(FileSection):
    """What all detectors of the application have together."""

    share: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.2,
        description="Which part of drift's promised false alarms detectors may use; columns have the rest. Without "
        "detectors columns have all of it.",
    )
