"""Issuing: bring a grant up on its clusters, inline, and ask each for the token.

The only requests that call clusters are those whose answer is the cluster's own; they have a
deadline, and a failure leaves the grant listed, so that it can be retried or revoked.
"""

import re
import time
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from access.adapters.kubenova_proxy import anchor_of
from access.asking import grant_for as grant_for
from access.endpoints import Endpoint, endpoint_of, fault_of
from access.kubeconfig import Context, render
from access.models import GrantPlacement, KubeconfigGrant
from clusters.credentials import Account, ask_token
from clusters.intents import GRANTS_NAMESPACE
from reconcile.deadline import within
from reconcile.drain import take_step
from reconcile.errors import ClusterError, Unreachable
from reconcile.models import Work
from reconcile.refusals import Conflicting, Unavailable
from reconcile.values import JSON

_POLL = 0.02
_JWT = re.compile(r"[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{1,}")  # RFC 7519, signed


@dataclass(frozen=True)
class Issued:
    """What is shown once: a kubeconfig, and when the first of its tokens ends. Never stored."""

    grant: KubeconfigGrant
    expires_at: datetime
    kubeconfig: str = field(repr=False)


@dataclass(frozen=True)
class _Door:
    """A cluster of a grant with the token for it and the endpoint that it is good at."""

    placement: GrantPlacement
    endpoint: Endpoint
    expires_at: datetime
    token: str = field(repr=False)


def issue(grant: KubeconfigGrant, *, again: bool = False) -> Issued:
    """Return the kubeconfig of a grant, with one token per cluster.

    `again`: make new tokens, ending those of before (an answer was lost). Raises Unavailable with
    the grant's name when a cluster or proxy does not get there in time, Conflicting for a grant
    that has ended.
    """
    if grant.ended:
        raise Conflicting(f"{grant} has ended. Ask for a new one.", grant=grant.name)
    if again:
        grant.renew(grant.subject.get_username())
    until = time.monotonic() + settings.GRANT_ISSUE_SECONDS
    with within(settings.GRANT_ISSUE_SECONDS):
        placements = list(grant.placements.select_related("cluster", "grant"))
        if not placements:
            raise Unavailable(f"{grant} is not placed on any cluster now.", grant=grant.name)
        for placement in placements:
            _bring_up(placement, until)
        doors = [_door(placement) for placement in placements]
    grant.record_issue(min(door.expires_at for door in doors))
    return Issued(grant, grant.expires_at, render([_context(door) for door in doors]))


def _bring_up(placement: GrantPlacement, until: float) -> None:
    """Take the steps of the placement here, unless a drain is faster."""
    if placement.cluster.paused:
        raise _unavailable(placement, "It is paused.")
    while True:
        placement.refresh_from_db()
        if placement.stands:
            return
        if time.monotonic() > until or placement.deleting:
            raise _unavailable(placement, _told(placement))
        work = placement.work.first()
        lease = Work.objects.claim(work.pk) if work else None
        if lease is None:
            time.sleep(_POLL)
            continue
        outcome = take_step(lease)
        if outcome and isinstance(outcome.error, Unreachable):
            raise _unavailable(placement, outcome.error.message)


def _door(placement: GrantPlacement) -> _Door:
    """Make sure that the proxy answers, then ask the cluster for the token."""
    endpoint = endpoint_of(placement.cluster)
    if fault := fault_of(endpoint):
        raise _unavailable(placement, f"Its access proxy does not answer: {fault}.")
    grant = placement.grant
    try:
        with placement.connect() as cluster:
            anchor = cluster.get(anchor_of(grant.anchor))
            if anchor is None:
                raise _unavailable(placement, "What its token is bound to has vanished.")
            placement.anchor_at(anchor.uid)
            account = Account(GRANTS_NAMESPACE, grant.name)
            bound = _bound(grant.anchor, anchor.uid)
            token, expires = ask_token(cluster, account, grant.ttl_seconds, bound)
    except ClusterError as error:
        raise _unavailable(placement, error.message) from None
    if not _JWT.fullmatch(token):
        raise _unavailable(placement, "Its answer holds no token that can be used.")
    return _Door(placement, endpoint, expires, token)


def _bound(name: str, uid: str) -> JSON:
    return {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": uid}


def _context(door: _Door) -> Context:
    grant, cluster = door.placement.grant, door.placement.cluster.name
    place = "-".join(part.name for part in (grant.tenant, grant.project) if part)
    return Context(
        name=f"{place}-{cluster}",
        cluster=f"kubenova-{cluster}",
        user=f"{grant.name}-{cluster}",
        server=door.endpoint.server,
        ca_pem=door.endpoint.ca_pem,
        namespace=next(iter(door.placement.namespaces()), ""),
        token=door.token,
    )


def _told(placement: GrantPlacement) -> str:
    found = (c for c in placement.conditions if c["type"] == "Synced")
    condition = next(found, {"message": ""})
    return str(condition["message"]) or "It has not answered yet."


def _unavailable(placement: GrantPlacement, why: str) -> Unavailable:
    grant, cluster = placement.grant.name, placement.cluster.name
    detail = f"Cluster {cluster} could not complete the grant: {why} Retry, or revoke {grant}."
    return Unavailable(detail, grant=grant, cluster=cluster)
