"""Idempotency-Key: a verb repeated with the same key runs once and answers the same.

Follows draft-ietf-httpapi-idempotency-key-header: scope is user, route and key.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.preconditions import PLAN_PARAMETER
from reconcile.models.idempotency import IdempotencyRecord
from reconcile.refusals import Fault, Invalid
from reconcile.values import digest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("Location", "ETag")


def once(request: Request, run: Callable[[], Response]) -> Response:
    """Answer from the record of the same request, else run it and record the answer.

    Running and recording are one transaction. A request that fails leaves no record.
    """
    record = _claim(request)
    if record is None:
        return run()
    if record.done:
        headers = {**record.headers, REPLAYED: "true"}
        return Response(record.body, status=record.status, headers=headers)
    with _released_on_failure(record), transaction.atomic():
        response = run()
        kept = {name: response[name] for name in _KEPT_HEADERS if name in response}
        record.finish(response.status_code, kept, response.data)
    return response


def once_secret(request: Request, run: Callable[[str], tuple[Response, str]]) -> Response:
    """Run a verb whose answer holds a secret; nothing of the answer is kept.

    `run` is called with the id of the object that an earlier run of the same request made, else
    with ""; it returns the answer and that id. It may call clusters, so no transaction is open.
    """
    record = _claim(request)
    if record is None:
        return run("")[0]
    if record.done:
        response, _ = run(record.object_id)
        response[REPLAYED] = "true"
        return response
    with _released_on_failure(record):
        response, object_id = run("")
        record.finish_secret(response.status_code, object_id)
    return response


def was_answered(request: Request) -> bool:
    """Whether the same request, by its Idempotency-Key, ran before: it is not planned anew."""
    found = IdempotencyRecord.objects.filter(
        user=request.user.pk, route=_route(request), key=request.headers.get(HEADER, "")
    )
    return found.exclude(status=0).exists()


@contextmanager
def _released_on_failure(record: IdempotencyRecord) -> Iterator[None]:
    answered = False
    try:
        yield
        answered = True
    finally:
        if not answered:
            record.release()


def _claim(request: Request) -> IdempotencyRecord | None:
    key = request.headers.get(HEADER)
    if key is None or PLAN_PARAMETER in request.query_params:  # a plan leaves nothing to repeat
        return None
    if not _KEY.fullmatch(key):
        fault = Fault("key", f"{HEADER} must be 1 to 255 printable ASCII characters.")
        raise Invalid("A header is wrong.", errors=[fault])
    return IdempotencyRecord.objects.claim(
        user_id=int(request.user.pk),  # type: ignore[arg-type]
        route=_route(request),
        key=key,
        body_hash=digest([request.data, sorted(request.query_params.items())]),
    )


def _route(request: Request) -> str:
    return f"{request.method} {request.path}"
