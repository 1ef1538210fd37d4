"""Between the loop and the records of drift: what a step plans with, finds and has repaired."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING

from django.db.models import F, Q
from django.utils import timezone

from reconcile import metrics
from reconcile.correlation import correlation_id
from reconcile.drift import Difference, repaired
from reconcile.fields import ABSENT, get, parse, put
from reconcile.loop import Done, Finding
from reconcile.models.applied import AppliedObject
from reconcile.models.decisions import Decision, above, decisions_key, earliest_end
from reconcile.models.drift import Drift
from reconcile.models.events import Event
from reconcile.models.rows import read
from reconcile.models.work import Lease, Work, marking
from reconcile.omission import Extra, Handling, Known, omitted
from reconcile.plan import Task
from reconcile.prepared import Built, Prepared
from reconcile.values import Live, Ref, Wanted, Why, digest

if TYPE_CHECKING:
    from reconcile.models.convergent import Convergent
    from reconcile.models.converging import Converging

_TOLD = 5
_REPAIRED, _GONE = Drift.Resolution.REPAIRED, Drift.Resolution.GONE


# --- What a step plans with.


def read_decisions(row: "Convergent") -> None:
    """Note that what is wanted depends on what people have decided about the row."""
    for parent in above(row.parent):
        read(decisions_key(parent))


def decisions_on(row: "Convergent") -> list[Decision]:
    """What people have decided about the row and all that it lives inside of, and still holds."""
    parents = list(above(row.parent))
    keys: dict[str, str | uuid.UUID] = {}
    for number, parent in enumerate(parents):
        keys |= {f"kind{number}": parent.label, f"uid{number}": parent.uid}
    found: list[Decision] = _deciding(len(parents)).rows(cluster=row.cluster_name, **keys)
    now = timezone.now()
    return [made for made in found if made.expires_at is None or made.expires_at > now]


@cache
def _deciding(count: int) -> Prepared:
    """The decisions that speak of a cluster, on so many parents."""

    def build(cluster: str, **keys: str | uuid.UUID) -> Built:
        made = Q(pk__in=[])
        for number in range(count):
            made |= Q(parent_kind=keys[f"kind{number}"], parent_uid=keys[f"uid{number}"])
        return Decision.objects.filter(made).at(cluster).order_by("pk"), {}

    kinds: dict[str, type[str] | type[uuid.UUID]] = {}
    for number in range(count):
        kinds |= {f"kind{number}": str, f"uid{number}": uuid.UUID}
    return Prepared(build, cluster=str, **kinds)


_DIFFERING = Prepared(
    lambda kind, object_id: (
        Drift.objects.open().filter(work__kind=kind, work__object_id=object_id).order_by("pk"),
        {},
    ),
    kind=str,
    object_id=int,
)


def handling_of(row: "Convergent", decisions: Sequence[Decision]) -> Handling:
    """How drift is dealt with on the row, by its mode, the decisions and what is on record."""
    known: dict[Ref, tuple[Known, ...]] = defaultdict(tuple)
    extras, ends = [], [earliest_end(decisions)]
    for drift in _DIFFERING.rows(kind=row.label, object_id=row.pk):
        approved = bool(drift.repair_requested_by)
        if drift.drift_class == Drift.Class.EXTRA:
            extras.append(Extra(drift.ref, drift.object_uid, approved))
            continue
        known[drift.ref] += (drift.known,)
        ends.append(drift.seconds_left)
    return Handling(
        mode=row.repair_mode,
        held=row.held,
        rules=tuple(made.rule for made in decisions if made.verb == Decision.Verb.IGNORE),
        known=dict(known),
        extras=tuple(extras),
        until=min((end for end in ends if end is not None), default=None),
    )


def as_accepted(
    row: "Convergent", wanted: Sequence[Wanted], decisions: Iterable[Decision]
) -> tuple[list[Wanted], list[Decision]]:
    """Lay what was accepted over what is wanted; return that and the decisions that are void.

    A decision is void as soon as the spec says something else than it did at the time.
    """
    found, void = list(wanted), []
    for made in decisions:
        if made.verb != Decision.Verb.ACCEPT or made.parent_uid != row.parent.uid:
            continue
        for at, item in enumerate(found):
            if (made.object_kind, made.object_name) != (item.ref.kind.name, item.ref.name):
                continue
            laid = _laid_over(item, made)
            if laid is None:
                void.append(made)
            else:
                found[at] = laid
    return found, void


def _laid_over(item: Wanted, made: Decision) -> Wanted | None:
    try:
        path = parse(made.path)
        base = get(item.manifest, path)
        if (None if base is ABSENT else base) != made.base:
            return None
        body = put(item.manifest, path, ABSENT if made.value is None else made.value)
    except ValueError:
        return None
    return Wanted(item.ref, body, digest(body))


# --- What a step has repaired.


def note_repairs(row: "Converging", done: Sequence[Done], lease: Lease) -> None:
    """Record what a step has set right; call it inside of `marking`."""
    for item in done:
        if item.step.why is Why.EXTRA:
            extra = Drift.objects.open().of(lease.work).at(item.step.ref)
            Drift.close(extra.filter(drift_class=Drift.Class.EXTRA), _REPAIRED)
            Event.record(row, "ExtraDeleted", f"{item.step.ref} was extra and was deleted.")
        elif repair := repaired(item.step, item.before, item.after):
            _note_repair(row, item, repair.fields, lease)
            fields = [asdict(change) for change in repair.fields]
            data = {"object": str(item.step.ref), "fields": fields}
            Event.record(row, "DriftRepaired", repair.message, data=data, actor=repair.actor)


def _note_repair(row: "Converging", item: Done, fields: Sequence[Difference], lease: Lease) -> None:
    history = _history(lease.work, item.step.ref)
    for field in fields:
        drift = history.get(field.path) or Drift.about(row, lease.work, item.step.ref)
        approved = drift.repair_requested_by
        if drift.pk and not approved:
            drift.times += 1
        _fill(drift, field, item.before)
        drift.note_repair()
        fought = drift.resolution == "" and bool(drift.pk)
        until = None if approved else drift.contested_until
        drift.settle("" if until else _REPAIRED, approved)
        drift.save()
        metrics.DRIFT.labels(drift.object_kind, drift.drift_class).inc()
        if until and not fought:
            _tell_fight(row, drift)
    rest = Drift.objects.open().of(lease.work).at(item.step.ref)
    rest = rest.exclude(path__in=[field.path for field in fields])
    Drift.close(rest.exclude(repair_requested_by=""), _REPAIRED)
    if item.step.why is Why.MISSING:
        Drift.close(rest, _GONE)


def _tell_fight(row: "Converging", drift: Drift) -> None:
    message = (
        f"{drift} is managed by {drift.actor}, who has undone {drift.times} repairs. "
        "It is tried again at longer and longer intervals. Ignore the field or stop the other side."
    )
    Event.record(row, "DriftContested", message, warning=True, actor=drift.actor)


def _history(work: Work, ref: Ref) -> dict[str, Drift]:
    """The newest record of each field of an object, open ones first."""
    rows = Drift.objects.of(work).at(ref).exclude(drift_class=Drift.Class.EXTRA)
    found = rows.select_for_update(of=("self",), no_key=True)
    newest_last = found.order_by(F("resolved_at").asc(nulls_last=True), "pk")
    return {drift.path: drift for drift in newest_last}


def _fill(drift: Drift, field: Difference, before: Live | None) -> None:
    drift.path, drift.wanted, drift.found = field.path, field.wanted, field.found
    drift.drift_class = Drift.Class(field.hand) if field.path else Drift.Class.MISSING
    drift.actor = field.actor[:150]
    drift.object_uid = before.uid[:64] if before else drift.object_uid
    drift.last_seen = timezone.now()
    drift.correlation_id = correlation_id()


# --- What a step has found and left as it is.


def note_findings(
    row: "Convergent", task: Task, findings: Sequence[Finding], lease: Lease
) -> list[Drift]:
    """Record what differs and is not repaired, and what no longer differs; return what is open."""
    wanted = {item.ref: item for item in task.wanted}
    with marking(lease):
        for found in findings:
            _note_finding(row, found, lease)
            if found.before:
                _settle(task, wanted[found.step.ref], found.before, lease.work)
        _close_what_ended(task, findings, lease.work)
    return list(Drift.objects.open().of(lease.work).order_by("object_kind", "object_name", "path"))


def _note_finding(row: "Convergent", found: Finding, lease: Lease) -> None:
    history, news = _history(lease.work, found.step.ref), []
    for field in found.fields:
        drift = history.get(field.path) or Drift.about(row, lease.work, found.step.ref)
        known = bool(drift.pk) and not drift.resolution
        if not known or drift.found != field.found:
            news.append(field)
        if drift.pk and not known:
            drift.times += 1
        _fill(drift, field, found.before)
        drift.settle("", "")
        drift.save()
        if not known:
            metrics.DRIFT.labels(drift.object_kind, drift.drift_class).inc()
    rest = Drift.objects.open().of(lease.work).at(found.step.ref)
    rest = rest.exclude(drift_class=Drift.Class.EXTRA)
    Drift.close(rest.exclude(path__in=[field.path for field in found.fields]), _GONE)
    if news:
        _tell_news(row, found, news)


def _tell_news(row: "Convergent", found: Finding, news: Sequence[Difference]) -> None:
    ref = found.step.ref
    told = ", ".join(f"{field.path} (changed by {field.actor})" for field in news if field.path)
    message = f"{ref} differs: {told}." if told else f"{ref} is missing (deleted by unknown)."
    data = {"object": str(ref), "fields": [asdict(field) for field in news]}
    Event.record(row, "DriftFound", message, warning=True, data=data, actor=news[0].actor)


def _settle(task: Task, wanted: Wanted, live: Live, work: Work) -> None:
    """Remember that this very state was looked at, so that it is not tried again."""
    ref = wanted.ref
    rows = Drift.objects.open().of(work).at(ref).exclude(drift_class=Drift.Class.EXTRA)
    known = tuple(Known(path) for path in rows.order_by("pk").values_list("path", flat=True))
    left = omitted(replace(task.drift, known={ref: known}), ref, wanted.manifest, live)
    hash_ = left.hash(wanted.hash)
    AppliedObject.objects.filter(work=work).at(ref).update(wanted_hash=hash_, applied_fp=live.fp)


def _close_what_ended(task: Task, findings: Sequence[Finding], work: Work) -> None:
    """Close what is no longer wanted, ignored altogether or, where all is repaired, left over."""
    wanted = {item.ref for item in task.wanted}
    looked_at = {found.step.ref for found in findings}
    ended: dict[str, list[int]] = defaultdict(list)
    for drift in Drift.objects.open().of(work):
        # What is wanted is not extra: a worker died before it recorded what it had made.
        if (drift.drift_class == Drift.Class.EXTRA) != (drift.ref not in wanted):
            ended[_GONE].append(drift.pk)
        elif drift.drift_class == Drift.Class.EXTRA:
            continue
        elif task.drift.ignores(drift.ref):
            ended[Drift.Resolution.IGNORED].append(drift.pk)
        elif not task.drift.shows and drift.ref not in looked_at and not drift.known.contested:
            ended[_REPAIRED].append(drift.pk)
    for resolution, keys in ended.items():
        Drift.close(Drift.objects.filter(pk__in=keys), resolution)


def told(open_: Sequence[Drift]) -> str:
    """Say what differs, for the condition: sorted, without times."""
    parts = [_told(drift) for drift in open_[:_TOLD]]
    more = f"; and {len(open_) - _TOLD} more" if len(open_) > _TOLD else ""
    return "; ".join(parts) + more + "."


def _told(drift: Drift) -> str:
    if drift.drift_class == Drift.Class.EXTRA:
        return f"{drift.ref} is extra: it carries KubeNova's labels and nobody declared it"
    if drift.whole:
        return f"{drift.ref} is missing"
    if drift.known.contested:
        return f"{drift} is managed by {drift.actor}"
    return f"{drift} differs (changed by {drift.actor})"
