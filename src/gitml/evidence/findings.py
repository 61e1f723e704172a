"""What an audit can find, and how bad each finding is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitml.evidence.trust import Cause
from gitml.jsontext import picked, plain
from gitml.verdict import Phase


class Kind(StrEnum):
    """One word for each finding. Those of ``trust.Cause`` are found too, under the same words."""

    CHANGE_WITHOUT_EVIDENCE = "change-without-evidence"
    PAST_A_SHUT_GATE = "past-a-shut-gate"
    EVIDENCE_WITHOUT_CHANGE = "evidence-without-change"
    NOT_RECORDED = "not-recorded"
    NO_FILE = "no-plain-file"
    RECORD_CHANGED = "record-changed"
    DIRECT_PUSH = "direct-push"
    FORGED_AUTHOR = "forged-author"
    WAY_UNKNOWN = "way-unknown"
    EVENT_EDITED = "event-edited"
    EVENT_DELETED = "event-deleted"
    EVENT_REORDERED = "event-reordered"
    LEDGER_REWRITTEN = "ledger-rewritten"
    BREAK_ACCEPTED = "break-accepted"
    LEDGER_BYPASSED = "ledger-bypassed"
    FOREIGN_FILE = "foreign-file"
    FOREIGN_WRITER = "foreign-writer"
    NO_POLICY = "no-policy"
    EXPORT_EDITED = "export-edited"
    LOOK_CONTRADICTED = "look-contradicted"
    LOOK_CORRECTED = "look-corrected"
    LOOK_DISAGREES = "look-disagrees"
    CANARY_CONTRADICTED = "canary-contradicted"
    HOUR_CONTRADICTED = "hour-contradicted"
    REVIEW_OVERDUE = "review-overdue"
    NEVER_REVIEWED = "never-reviewed"


# What may be harmless: there is not enough to call it a failure, and too much to call it a success.
_UNCLEAR = frozenset(
    {
        Kind.NOT_RECORDED,
        Kind.WAY_UNKNOWN,
        Kind.FOREIGN_FILE,
        Kind.FOREIGN_WRITER,
        Kind.BREAK_ACCEPTED,
        Cause.REMOVED_KEY,
        Kind.NO_POLICY,
        Kind.LOOK_CORRECTED,
        Kind.LOOK_DISAGREES,
        Kind.HOUR_CONTRADICTED,
        Kind.NEVER_REVIEWED,
    }
)


@dataclass(frozen=True, order=True)
class Finding:
    """``subject`` is a path of main, an event of the ledger, or a branch; ``commit`` the one that it shows at."""

    kind: Kind | Cause
    subject: str
    message: str
    commit: str = ""

    @property
    def phase(self) -> Phase:
        return Phase.INCONCLUSIVE if self.kind in _UNCLEAR else Phase.FAILED

    def to_dict(self) -> dict[str, str]:
        return {"finding": plain(self.kind), **picked(self, "phase", "subject", "message", "commit")}
