"""Every request has two names, and the client is told both."""

import re

import pytest
import structlog
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from opentelemetry.sdk.trace import TracerProvider

from reconcile.correlation import asking, correlation_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
MADE = r"[0-9a-f]{32}"


def show(request):
    """Answer with the ids as a view and its log lines see them."""
    bound = structlog.contextvars.get_contextvars()
    return HttpResponse(f"{correlation_id()} {bound['request_id']}")


@csrf_exempt
def tell(request):
    """Answer with what is being asked, as an event would tell it."""
    found = asking()
    return HttpResponse(f"{found.method} {found.path}" if found else "nothing")


urlpatterns = [path("show", show), path("tell", tell)]
pytestmark = pytest.mark.urls(__name__)


@pytest.mark.parametrize("given", ["a", "deploy-42_x.Y", "x" * 64])
def test_it_keeps_a_sound_id_of_the_client(client, given):
    response = client.get("/show", headers={"X-Correlation-ID": given})
    assert response.headers["X-Correlation-ID"] == given
    assert response.content.decode().split()[0] == given


@pytest.mark.parametrize(
    "given",
    ["", "x" * 65, "a b", "a\r\nX-Evil: 1", "ä", "a/b", "a;b", "<script>", "a\n", "\x1b[31m"],
    ids=repr,
)
def test_it_replaces_any_other_id(client, given):
    response = client.get("/show", headers={"X-Correlation-ID": given})
    assert re.fullmatch(MADE, response.headers["X-Correlation-ID"])


def test_it_joins_the_trace_of_the_client(client):
    response = client.get("/show", headers={"traceparent": TRACEPARENT})
    assert response.headers["X-Correlation-ID"] == TRACE


@pytest.mark.parametrize("broken", [TRACEPARENT.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01", "x"])
def test_it_does_not_join_a_broken_trace(client, broken):
    response = client.get("/show", headers={"traceparent": broken})
    assert response.headers["X-Correlation-ID"] not in broken.lower()


def test_the_name_given_goes_before_the_trace(client):
    headers = {"traceparent": TRACEPARENT, "X-Correlation-ID": "mine"}
    assert client.get("/show", headers=headers).headers["X-Correlation-ID"] == "mine"


def test_it_joins_our_own_span(client):
    with TracerProvider().get_tracer("test").start_as_current_span("door") as span:
        response = client.get("/show")
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert response.headers["X-Correlation-ID"] == trace_id
    assert span.attributes["kubenova.correlation_id"] == trace_id


def test_no_two_requests_share_a_request_id(client):
    headers = {"X-Request-ID": "mine", "X-Correlation-ID": "same"}
    first, second = (client.get("/show", headers=headers) for _ in range(2))
    ids = [response.headers["X-Request-ID"] for response in (first, second)]
    assert len({*ids, "mine"}) == 3
    assert first.content.decode() == f"same {ids[0]}"


def test_a_failed_request_has_its_ids_too(client):
    response = client.get("/nothing-here", headers={"X-Correlation-ID": "mine"})
    assert response.headers["X-Correlation-ID"] == "mine"
    assert re.fullmatch(MADE, response.headers["X-Request-ID"])


def test_nothing_is_left_after_the_request(client):
    client.get("/show", headers={"X-Correlation-ID": "mine"})
    assert correlation_id() == ""
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize(
    ("method", "told"), [("get", "nothing"), ("post", "POST /tell"), ("delete", "DELETE /tell")]
)
def test_what_may_change_something_is_told_by_its_events(client, db, method, told):
    assert getattr(client, method)("/tell?token=secret").content.decode() == told
    assert asking() is None
