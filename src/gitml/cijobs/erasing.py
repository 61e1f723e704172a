"""``gitml ci subjects carry-out``: what policy.yaml and merged requests for erasure ask for is done.

All follows from main, the ledger and what lies in the traffic and the stores, so a run that was killed is made up for
by the next one. It runs no code of the repository. It has the keys that ids are hashed with and no id, and no key that
signs: what became of each request it hands to the job that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from gitml.cijobs.erasurefile import ErasureDetails, ErasureFile, HandedErasure
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, heard
from gitml.dvc.repository import Dvc
from gitml.errors import GitmlError
from gitml.evidence.statement import Statement
from gitml.git.tree import Tree
from gitml.governance.dataversions import SubjectData, current_data, data_of, records_on
from gitml.governance.erasedfiles import ReplacedFiles, ReplacementOrder, replace_files
from gitml.governance.erasedobjects import ErasedEverywhere, gone_list, states_of
from gitml.governance.subjectfind import SubjectTest, TrafficCall
from gitml.governance.subjectids import KeyRing, SoughtPerson, key_ring
from gitml.jsontext import plain
from gitml.registry.erasures import Erasure, erased_objects, erasures
from gitml.registry.record import Record
from gitml.registry.replacements import ReplacedFile, replacements_of
from gitml.registry.store import record_path
from gitml.spec.subjects import Subjects
from gitml.traffic.erasure import TrafficErased, TrafficErasure, erase_from_traffic
from gitml.traffic.retention import expire
from gitml.verdict import Phase, Verdict

KIND = "erased"
_RESULTS = {Phase.SUCCESSFUL: "passed", Phase.FAILED: "failed"}


@dataclass(frozen=True)
class RequestCarriedOut:
    """What became of one request. ``details`` is what a statement says of it."""

    request: str
    verdict: Verdict
    details: Mapping[str, Any]
    traffic: TrafficErased = field(default_factory=TrafficErased)


@dataclass(frozen=True)
class SubjectsKept:
    """``expired``: files of old days that were deleted, by kind. ``indexed``: files whose index was made. ``commit``:
    main as it was looked at."""

    commit: str
    expired: Mapping[str, int] = field(default_factory=dict)
    indexed: int = 0
    problems: tuple[str, ...] = ()
    requests: tuple[RequestCarriedOut, ...] = ()


def keep_subjects(place: Place, traffic: TrafficCall | None) -> SubjectsKept:
    """Delete what is too old, index what is not indexed, carry out what was merged. Called twice it does nothing the
    second time. ``traffic``: where it is; None where gitml.yaml does not say."""
    main = place.newest(whole=True)
    app, policy = main.application(), main.policy()
    periods, now = policy.retention.periods, place.clock()
    expired = expire(traffic.folder, periods, now) if traffic and periods else {}
    problems = () if traffic or not periods else ("gitml.yaml does not say where the traffic is that is too old",)
    if app.subjects is None:
        return SubjectsKept(main.commit, expired, problems=problems)
    ring = key_ring(app.subjects, place.secret)
    if ring is None:
        return SubjectsKept(
            main.commit, expired, problems=(*problems, f"{app.subjects.key} is not set: nothing was looked at")
        )
    with Dvc(place.root) as dvc:
        data = SubjectData(dvc, app.subjects, ring, erased_objects(main.tree))
        every = {one for record in records_on(main.tree) for one in data_of(record, app.subjects)}
        made, unknown = data.index(sorted(every | {*current_data(main.tree, app.subjects)}))
        work = _Work(place, main, traffic, data, heard(place, policy))
        done = tuple(work.requests())
    return SubjectsKept(main.commit, expired, made, (*problems, *unknown), done)


@dataclass
class _Work:
    place: Place
    main: Mainline
    traffic: TrafficCall | None
    data: SubjectData
    heard: BelievedEvents

    @cached_property
    def signed(self) -> tuple[ReplacedFile, ...]:
        """Files that were replaced before, oldest first."""
        return replacements_of(one.details for one in reversed(self.heard.all(KIND)))

    @cached_property
    def told(self) -> dict[str, tuple[ReplacedFile, ...]]:
        """What each request replaced, as its newest statement says it, or this run."""
        newest = {one.request: newest_of(self.heard, one.request) for one in erasures(self.main.tree)}
        return {name: replacements_of([said.details]) if said else () for name, said in newest.items()}

    @property
    def ring(self) -> KeyRing:
        return self.data.ring

    @property
    def subjects(self) -> Subjects:
        return self.data.subjects

    def requests(self) -> Iterator[RequestCarriedOut]:
        for erasure in erasures(self.main.tree):
            before = newest_of(self.heard, erasure.request)
            if before is None or before.binding.result != "passed":
                yield self._carried_out(erasure)

    def _carried_out(self, erasure: Erasure) -> RequestCarriedOut:
        try:
            self.ring.named(erasure.key)
            until = self._until(erasure)
            emptied = self._empty(erasure, until)
            holding, unknown = self._holding(erasure)
            files = self._replaced(erasure)
            gone = gone_list(self.main.tree, self.data, erasure, self.signed)
            everywhere = ErasedEverywhere(gone, states_of(self.data, gone))
        except GitmlError as exc:
            found = Verdict(Phase.INCONCLUSIVE, exc.message)
            return RequestCarriedOut(erasure.request, found, {"request": erasure.request, "reason": exc.message})
        stays = (*everywhere.gone.stays, *files.stays)
        everywhere = replace(everywhere, gone=replace(gone, stays=stays))
        verdict = self._verdict(erasure, emptied, (holding, unknown, files.in_git), everywhere)
        details = {
            "request": erasure.request,
            "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "retrain_by": erasure.retrain_by,
            "holding": holding,
            "unknown": unknown,
            "waiting": [*emptied.waiting],
            "stays": [*stays],
            "objects": len(everywhere.gone.objects),
            "stores": {s.store: {"left": len(s.left), "why": s.why} for s in everywhere.states},
            "replaced": [plain(one) for one in files.files],
            "in_git": [*files.in_git],
            "emptied": plain(verdict.measurements),
            "reason": verdict.reason[:4000],
        }
        return RequestCarriedOut(erasure.request, verdict, details, emptied)

    def _replaced(self, erasure: Erasure) -> ReplacedFiles:
        others = [(one, self.told[one.request]) for one in erasures(self.main.tree) if one.request != erasure.request]
        order = ReplacementOrder(self.main.tree, self.data, erasure, self.signed, others, self._original)
        found = replace_files(order, self.told[erasure.request])
        # The next request starts from what this one left.
        self.signed = (*self.signed, *(one for one in found.files if one not in self.signed))
        self.told[erasure.request] = found.files
        return found

    def _original(self, record: Record) -> Tree:
        return self.main.original(record_path(record.model, record.version))

    def _until(self, erasure: Erasure) -> datetime:
        """When main got the request: what arrived later is of no request that anybody made."""
        came = self.main.added(erasure.path)
        said = self.place.git.text("log", "-1", "--no-show-signature", "--format=%cI", came).strip() if came else ""
        moment = datetime.fromisoformat(said).astimezone(UTC) if said else erasure.moment
        return min(max(moment, erasure.moment), self.place.clock())

    def _empty(self, erasure: Erasure, until: datetime) -> TrafficErased:
        call, told = self.traffic, self.subjects.traffic
        if call is None:
            return TrafficErased()
        sought = SoughtPerson(request=erasure.request, token=erasure.subject, key=erasure.key)
        columns = [*(["unit"] if told.unit else []), *(f"feature_{name}" for name in told.features)]
        test = SubjectTest(self.subjects, self.ring, sought)
        work = TrafficErasure(call.folder, call.models, test, columns, until, told.unit, call.spool)
        return erase_from_traffic(work, self.place.clock())

    def _holding(self, erasure: Erasure) -> tuple[list[str], list[str]]:
        """Declared data of main that still have the person, and those of which that is not known."""
        sought = SoughtPerson(request=erasure.request, token=erasure.subject, key=erasure.key)
        looked = [self.data.look(one, sought) for one in current_data(self.main.tree, self.subjects)]
        holding = sorted({one.data.path for one in looked if one.files})
        return holding, sorted({f"{one.data.path} could not be looked into" for one in looked if one.unknown})

    def _verdict(
        self, erasure: Erasure, emptied: TrafficErased, found: tuple[list[str], list[str], Sequence[str]],
        everywhere: ErasedEverywhere,
    ) -> Verdict:  # fmt: skip
        holding, unknown, in_git = found
        counts = {"requests": sum(emptied.requests.values()), "labels": sum(emptied.labels.values())}
        if holding:
            hint = "train again on data without them, and merge it"
            return Verdict(Phase.FAILED, f"{', '.join(holding)} of main still holds them: {hint}", counts)
        stays = everywhere.gone.stays
        if stays and self.place.clock().date() > erasure.due:
            said = f"the time for it ended on {erasure.retrain_by}, and not all is gone: {'; '.join(stays)}"
            return Verdict(Phase.FAILED, said, counts)
        left = [f"{s.store}: {s.why or f'{len(s.left)} objects'}" for s in everywhere.states if not s.is_gone]
        waits = [*unknown, *emptied.waiting, *left, *stays]
        # A server that was merging files meanwhile may have brought old rows back.
        waits += ["the traffic is looked through once more, at the next run"] if emptied.files else []
        if self.traffic is None:
            waits.append("gitml.yaml does not say where the traffic is")
        if waits:
            return Verdict(Phase.INCONCLUSIVE, f"not all is gone yet: {'; '.join(waits)}", counts)
        but = f", but for {', '.join(in_git)}: what was committed stays in every clone" if in_git else ""
        return Verdict(Phase.SUCCESSFUL, f"nothing that can be reached holds them{but}", counts)


def newest_of(events: BelievedEvents, request: str) -> Statement | None:
    """What was signed last of a request."""
    return next((one for one in events.signed(KIND) if one.details.get("request") == request), None)


def handed_over(done: SubjectsKept, run: str) -> ErasureFile:
    """What the job that signs reads."""
    return ErasureFile(
        commit=done.commit,
        run=run,
        problems=[text[:4000] for text in done.problems],
        requests=[
            HandedErasure(
                result=_RESULTS.get(one.verdict.phase, "inconclusive"),
                details=ErasureDetails.model_validate(dict(one.details)),
            )
            for one in done.requests
        ],
    )
