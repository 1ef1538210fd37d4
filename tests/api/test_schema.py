"""The OpenAPI document: complete, without warnings, served without a network."""

import re
from io import StringIO

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.urls import get_resolver

from reconcile.spelling import name_fault

SUCCESS = {"POST": {"200", "201", "202", "204"}, "DELETE": {"202", "204"}}


@pytest.fixture(scope="module")
def document(django_db_setup):
    from rest_framework.test import APIClient

    answer = APIClient().get("/api/v1/schema")
    assert answer["Content-Type"] == "application/vnd.oai.openapi+json"
    return answer.json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_it_is_valid_and_made_without_a_warning():
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=StringIO())


def test_it_is_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")


def test_ids_are_unique_and_speak(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert {
        "tenants_list",
        "tenants_create",
        "tenants_replace",
        "tenants_update",
        "token",
        "tenants_delete",
        "tenants_projects_create",
        "token_refresh",
        "me",
    } <= set(ids)
    assert all(re.fullmatch(r"[a-z0-9_]+", each) for each in ids)


def test_every_failure_is_documented_as_a_problem(document):
    for path, method, operation in operations(document):
        found = set(operation["responses"])
        assert {"400", "401", "404", "503", "default"} <= found, path
        if method != "GET":
            assert {"409", "413", "415", "422"} <= found, path
        for status in found - {"200", "201", "202", "204"}:
            name = operation["responses"][status]["$ref"].rpartition("/")[2]
            content = document["components"]["responses"][name]["content"]
            assert list(content) == ["application/problem+json"]


def test_every_operation_has_a_success_and_a_description(document):
    for path, method, operation in operations(document):
        wanted = SUCCESS.get(method, {"200"})
        assert set(operation["responses"]) & wanted, (path, method)
        assert operation["description"], (path, method)


def test_a_name_is_documented_with_its_grammar(document):
    name = document["components"]["schemas"]["TenantRequest"]["properties"]["name"]
    assert name["maxLength"] == 40
    pattern = re.compile(name["pattern"])
    for text in ("a", "a-b", "1a", "a--b", "-a", "a-", "A", "", "a.b"):
        assert bool(pattern.search(text)) is (name_fault(text) == ""), text


def test_writes_document_the_headers_that_make_them_safe(document):
    tenant = document["paths"]["/api/v1/tenants/{name}"]
    for method in ("put", "patch", "delete"):
        assert "If-Match" in {each["name"] for each in tenant[method]["parameters"]}
    create = document["paths"]["/api/v1/tenants"]["post"]
    assert "Idempotency-Key" in {each["name"] for each in create["parameters"]}
    assert {"200", "201"} <= set(create["responses"])
    assert set(tenant["patch"]["requestBody"]["content"]) == {
        "application/json",
        "application/merge-patch+json",
    }


def test_lists_document_their_page_and_filters(document):
    listing = document["paths"]["/api/v1/projects"]["get"]
    assert {"limit", "cursor", "ordering", "labelSelector", "phase", "deleting", "tenant"} <= {
        each["name"] for each in listing["parameters"]
    }
    ref = listing["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    page = document["components"]["schemas"][ref.rpartition("/")[2]]
    assert set(page["properties"]) == {"items", "next", "previous"}


def test_every_path_of_the_api_is_documented(document):
    """But for the document itself, its page, the explanations, and the catch-all."""
    found = set()

    def walk(patterns, prefix):
        for each in patterns:
            where = prefix + str(each.pattern)
            if hasattr(each, "url_patterns"):
                walk(each.url_patterns, where)
            elif where.startswith("api/v1/"):
                found.add("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", where))

    walk(get_resolver().url_patterns, "")
    own = {"/api/v1/schema", "/api/v1/docs", "/api/v1/problems", "/api/v1/problems/{code}"}
    assert found - own == set(document["paths"])


def test_the_page_is_served_without_a_network(client):
    page = client.get("/api/v1/docs").content.decode()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    for asset in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        assert finders.find(asset), asset
    script = client.get("/api/v1/docs?script=")
    assert "/api/v1/schema" in script.content.decode()
    assert script["Content-Type"].startswith("application/javascript")
