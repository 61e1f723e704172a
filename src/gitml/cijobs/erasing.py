"""``gitml ci subjects``: what policy.yaml and merged requests for erasure ask for is done, and signed.

All follows from main, the ledger and what lies in the traffic and the stores, so a run that was killed is made up for
by the next one. It runs no code of the repository. It has the keys that ids are hashed with and no id; its own key
signs statements of the kind `erased` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, Signer, bound, heard
from gitml.dvc.repository import Dvc
from gitml.errors import GitmlError
from gitml.evidence.keys import SigningKey
from gitml.evidence.statement import Statement
from gitml.governance.dataversions import SubjectData, current_data, data_of, records_on
from gitml.governance.erasedobjects import ErasedEverywhere, gone_list, states_of
from gitml.governance.subjectfind import SubjectTest, TrafficCall
from gitml.governance.subjectids import KeyRing, SoughtPerson, key_ring
from gitml.jsontext import plain
from gitml.registry.erasures import Erasure, erased_objects, erasures
from gitml.spec.subjects import Subjects
from gitml.traffic.erasure import TrafficErased, TrafficErasure, erase_from_traffic
from gitml.traffic.retention import expire
from gitml.verdict import Phase, Verdict

KIND = "erased"
_RESULTS = {Phase.SUCCESSFUL: "passed", Phase.FAILED: "failed"}


@dataclass(frozen=True)
class ErasingOrder:
    """``traffic``: where it is; None where gitml.yaml does not say. ``key`` signs; without one it is only said what
    would be signed."""

    traffic: TrafficCall | None = None
    key: SigningKey | None = None
    run: str = ""


@dataclass(frozen=True)
class RequestCarriedOut:
    """What became of one request. ``event``: what was signed, '' where nothing new was to be said."""

    request: str
    verdict: Verdict
    traffic: TrafficErased = field(default_factory=TrafficErased)
    event: str = ""


@dataclass(frozen=True)
class SubjectsKept:
    """``expired``: files of old days that were deleted, by kind. ``indexed``: files whose index was made."""

    expired: Mapping[str, int] = field(default_factory=dict)
    indexed: int = 0
    problems: tuple[str, ...] = ()
    requests: tuple[RequestCarriedOut, ...] = ()


def keep_subjects(place: Place, order: ErasingOrder) -> SubjectsKept:
    """Delete what is too old, index what is not indexed, carry out what was merged. Called twice it does nothing the
    second time."""
    main = place.newest(whole=True)
    app, policy = main.application(), main.policy()
    periods, now = policy.retention.periods, place.clock()
    expired = expire(order.traffic.folder, periods, now) if order.traffic and periods else {}
    problems = () if order.traffic or not periods else ("gitml.yaml does not say where the traffic is that is too old",)
    if app.subjects is None:
        return SubjectsKept(expired, problems=problems)
    ring = key_ring(app.subjects, place.secret)
    if ring is None:
        return SubjectsKept(expired, problems=(*problems, f"{app.subjects.key} is not set: nothing was looked at"))
    with Dvc(place.root) as dvc:
        data = SubjectData(dvc, app.subjects, ring, erased_objects(main.tree))
        every = {one for record in records_on(main.tree) for one in data_of(record, app.subjects)}
        made, unknown = data.index(sorted(every | {*current_data(main.tree, app.subjects)}))
        work = _Work(place, main, order, data, heard(place, policy))
        done = tuple(work.requests())
    return SubjectsKept(expired, made, (*problems, *unknown), done)


@dataclass
class _Work:
    place: Place
    main: Mainline
    order: ErasingOrder
    data: SubjectData
    heard: BelievedEvents

    @property
    def ring(self) -> KeyRing:
        return self.data.ring

    @property
    def subjects(self) -> Subjects:
        return self.data.subjects

    def requests(self) -> Iterator[RequestCarriedOut]:
        for erasure in erasures(self.main.tree):
            before = self._signed(erasure.request)
            if before is None or before.binding.result != "passed":
                yield self._sign(erasure, before, *self._carried_out(erasure))

    def _signed(self, request: str) -> Statement | None:
        """The newest that is known of a request."""
        every = self.heard.signed(KIND)
        return next((one for one in every if one.details.get("request") == request), None)

    def _carried_out(self, erasure: Erasure) -> tuple[RequestCarriedOut, dict[str, Any]]:
        try:
            self.ring.named(erasure.key)
            until = self._until(erasure)
            emptied = self._empty(erasure, until)
            holding, unknown = self._holding(erasure)
            gone = gone_list(self.main.tree, self.data, erasure)
            everywhere = ErasedEverywhere(gone, states_of(self.data, gone))
        except GitmlError as exc:
            found = Verdict(Phase.INCONCLUSIVE, exc.message)
            return RequestCarriedOut(erasure.request, found), {"request": erasure.request, "reason": exc.message}
        verdict = self._verdict(emptied, holding, unknown, everywhere)
        details = {
            "request": erasure.request,
            "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "retrain_by": erasure.retrain_by,
            "holding": holding,
            "unknown": unknown,
            "waiting": [*emptied.waiting],
            "stays": [*everywhere.gone.stays],
            "objects": len(everywhere.gone.objects),
            "stores": {s.store: {"left": len(s.left), "why": s.why} for s in everywhere.states},
            "reason": verdict.reason,
        }
        return RequestCarriedOut(erasure.request, verdict, emptied), details

    def _until(self, erasure: Erasure) -> datetime:
        """When main got the request: what arrived later is of no request that anybody made."""
        came = self.main.added(erasure.path)
        said = self.place.git.text("log", "-1", "--no-show-signature", "--format=%cI", came).strip() if came else ""
        moment = datetime.fromisoformat(said).astimezone(UTC) if said else erasure.moment
        return min(max(moment, erasure.moment), self.place.clock())

    def _empty(self, erasure: Erasure, until: datetime) -> TrafficErased:
        call, told = self.order.traffic, self.subjects.traffic
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
        self, emptied: TrafficErased, holding: list[str], unknown: list[str], everywhere: ErasedEverywhere
    ) -> Verdict:
        counts = {"requests": sum(emptied.requests.values()), "labels": sum(emptied.labels.values())}
        if holding:
            hint = "train again on data without them, and merge it"
            return Verdict(Phase.FAILED, f"{', '.join(holding)} of main still holds them: {hint}", counts)
        left = [f"{s.store}: {s.why or f'{len(s.left)} objects'}" for s in everywhere.states if not s.is_gone]
        waits = [*unknown, *emptied.waiting, *left, *everywhere.gone.stays]
        # A server that was merging files meanwhile may have brought old rows back.
        waits += ["the traffic is looked through once more, at the next run"] if emptied.files else []
        if self.order.traffic is None:
            waits.append("gitml.yaml does not say where the traffic is")
        if waits:
            return Verdict(Phase.INCONCLUSIVE, f"not all is gone yet: {'; '.join(waits)}", counts)
        return Verdict(Phase.SUCCESSFUL, "nothing that can be reached holds them", counts)

    def _sign(
        self, erasure: Erasure, before: Statement | None, done: RequestCarriedOut, details: dict[str, Any]
    ) -> RequestCarriedOut:
        told = {**details, "emptied": plain(done.verdict.measurements)}
        same = before is not None and {**before.details, "emptied": None} == {**plain(told), "emptied": None}
        if self.order.key is None or (same and not any(done.verdict.measurements.values())):
            return done
        result = _RESULTS.get(done.verdict.phase, "inconclusive")
        about = bound(self.place, KIND, self.order.run, after=before, head=self.main.commit, result=result)
        signer = Signer(self.place, self.main.policy(), self.order.key)
        (event,) = signer.sign([Statement(about, plain(told))])
        return replace(done, event=event)
