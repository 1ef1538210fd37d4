"""Everything that goes wrong under /api/ has one shape, and tells a stranger nothing (A19, A33)."""

import json

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client, RequestFactory
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient

from kubenova.api import errors
from kubenova.urls import urlpatterns as all_urls
from reconcile.api.views import ApiView, OpenView
from reconcile.refusals import Fault, Unserved
from tests.api.conftest import problem

pytestmark = pytest.mark.django_db
SECRET = "s3cr3t-value"


class BreakingView(OpenView):
    """Fails in the way that the query asks for."""

    query_parameters = ("how",)

    def get(self, request: Request) -> Response:
        raise {
            "bug": RuntimeError(SECRET),
            "database": OperationalError(SECRET),
            "closed": InterfaceError(SECRET),
            "capability": Unserved(
                "Cluster a cannot serve this.",
                errors=[Fault("capability", "Not there.", "/isolation")],
                headers={"Retry-After": "9"},
                capability="tenancy.native",
                found="1.29",
                needed="1.30",
                clusters=["b"],
            ),
        }[request.query_params["how"]]


class BreakingMiddlewareView:
    """A plain view that breaks outside of REST framework."""

    csrf_exempt = True

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, request):
        raise self.error


urlpatterns = [
    path("api/v1/breaks", BreakingView.as_view()),
    path("api/v1/plain-bug", BreakingMiddlewareView(RuntimeError(SECRET))),
    path("api/v1/plain-database", BreakingMiddlewareView(OperationalError(SECRET))),
    *all_urls,
]
handler400, handler403 = errors.bad_request, errors.permission_denied
handler404, handler500 = errors.not_found, errors.server_error
breaking = pytest.mark.urls(__name__)


@breaking
@pytest.mark.parametrize(
    ("where", "status", "code"),
    [
        ("breaks?how=bug", 500, "KN-INTERNAL"),
        ("plain-bug", 500, "KN-INTERNAL"),
        ("breaks?how=database", 503, "KN-DATABASE"),
        ("breaks?how=closed", 503, "KN-DATABASE"),
        ("plain-database", 503, "KN-DATABASE"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_a19_our_own_faults_have_constant_texts(settings, nobody, where, status, code, debug):
    settings.DEBUG = debug and "plain" not in where
    answer = nobody.get(f"/api/v1/{where}")
    problem(answer, status, code)
    assert SECRET not in answer.content.decode() and "Traceback" not in answer.content.decode()
    assert (answer.get("Retry-After") == "5") is (status == 503)


@breaking
def test_a_missing_capability_is_told_with_the_clusters_that_could(nobody):
    answer = nobody.get("/api/v1/breaks?how=capability")
    body = problem(answer, 422, "KN-CAPABILITY")
    assert body["errors"] == [
        {"code": "capability", "detail": "Not there.", "pointer": "/isolation"}
    ]
    assert {key: body[key] for key in ("capability", "found", "needed", "clusters")} == {
        "capability": "tenancy.native",
        "found": "1.29",
        "needed": "1.30",
        "clusters": ["b"],
    }
    assert answer["Retry-After"] == "9"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
@pytest.mark.parametrize(
    "where", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/tenants", "/api"]
)
def test_a_path_that_is_none_is_404_for_every_method(nobody, method, where):
    answer = getattr(Client(enforce_csrf_checks=True), method)(where)
    assert answer.status_code == 404
    if method != "head" and where != "/api":
        problem(answer, 404, "KN-NOT-FOUND")


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("post", "schema"),
        ("delete", "token"),
        ("get", "token"),
        ("put", "jwks"),
        ("options", "jwks"),
    ],
)
def test_a_method_that_is_none_is_405_and_names_those_that_are(nobody, method, where):
    answer = getattr(nobody, method)(f"/api/v1/{where}")
    problem(answer, 405, "KN-METHOD")
    assert answer["Allow"]


def test_a33_a_browser_gets_json_and_no_form(as_olga):
    answer = as_olga.get("/api/v1/tenants", HTTP_ACCEPT="text/html")
    assert answer["Content-Type"] == "application/json"
    assert as_olga.get("/api/v1/tenants?format=api").status_code == 400


def test_a33_a_session_needs_the_csrf_token(alice, acme):
    browser = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/api/v1/tenants").status_code == 200
    problem(browser.patch("/api/v1/tenants/acme", {"description": "x"}), 403, "KN-CSRF")
    browser.cookies["csrftoken"] = "t" * 32
    answer = browser.patch("/api/v1/tenants/acme", {"description": "x"}, HTTP_X_CSRFTOKEN="t" * 32)
    assert answer.status_code == 200


def test_a33_the_csrf_view_of_django_answers_in_the_same_shape():
    request = RequestFactory().post("/api/v1/anything")
    answer = errors.csrf_failure(request, "Origin checking failed")
    assert json.loads(answer.content)["code"] == "KN-CSRF"
    assert errors.csrf_failure(RequestFactory().post("/login"), "x")["Content-Type"].startswith(
        "text/html"
    )


def test_a33_an_unknown_host_is_refused(nobody):
    answer = nobody.get("/api/v1/problems", HTTP_HOST="attacker.example")
    problem(answer, 400, "KN-INVALID")


def test_pages_keep_their_own_errors(nobody):
    answer = nobody.get("/no-such-page")
    assert answer.status_code == 404 and answer["Content-Type"].startswith("text/html")


def test_it_names_the_correlation_id_of_the_request(nobody):
    answer = nobody.get("/api/v1/nothing", HTTP_X_CORRELATION_ID="trace-me-1")
    assert answer.json()["correlation_id"] == "trace-me-1" == answer["X-Correlation-ID"]


def test_every_type_leads_to_a_page_that_explains_the_code(nobody):
    codes = nobody.get("/api/v1/problems").json()["items"]
    assert {"KN-NOT-FOUND", "KN-CAPABILITY", "KN-CSRF", "KN-DELETING"} <= {
        each["code"] for each in codes
    }
    for each in codes:
        page = nobody.get(each["type"])
        assert page.status_code == 200 and page.json() == each
        assert each["title"] and each["detail"] and each["status"] >= 400
    problem(nobody.get("/api/v1/problems/kn-nonsense"), 404, "KN-NOT-FOUND")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param(
            {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""},
            411,
            "KN-LENGTH",
            id="chunked",
        ),
        pytest.param({"HTTP_CONTENT_ENCODING": "gzip"}, 400, "KN-INVALID", id="gzip"),
        pytest.param({"CONTENT_LENGTH": "104857600"}, 413, "KN-TOO-LARGE", id="100 MB"),
        pytest.param({"CONTENT_TYPE": "text/plain"}, 415, "KN-MEDIA-TYPE", id="text"),
        pytest.param(
            {"CONTENT_TYPE": "application/merge-patch+json"}, 415, "KN-MEDIA-TYPE", id="patch"
        ),
        pytest.param(
            {"CONTENT_TYPE": "application/json-patch+json"}, 415, "KN-MEDIA-TYPE", id="json patch"
        ),
        pytest.param({"CONTENT_TYPE": "x" * 1000}, 415, "KN-MEDIA-TYPE", id="long type"),
    ],
)
def test_a32_a_body_that_cannot_be_read_whole_is_refused(as_olga, headers, status, code):
    headers = dict(headers)
    kind = headers.pop("CONTENT_TYPE", "application/json")
    answer = as_olga.generic("POST", "/api/v1/tenants", b'{"name": "a"}', kind, **headers)
    problem(answer, status, code)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"[{}]", b"{"])
def test_a32_a_body_that_is_no_object_is_refused(as_olga, body):
    answer = as_olga.generic("POST", "/api/v1/tenants", body, content_type="application/json")
    problem(answer, 400, "KN-INVALID")


def test_every_answer_stays_out_of_caches(as_olga, nobody):
    for answer in (as_olga.get("/api/v1/tenants"), nobody.get("/api/v1/tenants")):
        assert answer["Cache-Control"] == "private, no-store"
        assert "Authorization" in answer["Vary"]


class NamedView(ApiView):
    """Asks who is there without looking at credentials."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request) -> Response:
        return Response(self.user.username)


def test_a_view_that_needs_a_user_never_works_for_nobody():
    answer = NamedView.as_view()(RequestFactory().get("/api/v1/x"))
    assert answer.status_code in {401, 403}
