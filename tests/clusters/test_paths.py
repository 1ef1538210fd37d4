"""A request target means what it says, whatever a name holds (A10, A11, A30)."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from clusters.kinds import CLUSTER_ROLE, CONFIG_MAP, DEPLOYMENT, NAMESPACE, SERVICE_ACCOUNT
from clusters.paths import Unaddressable, collection, item, plain, review, selector, target
from reconcile.errors import Refused
from reconcile.values import Kind, Ref

CRD_KIND = Kind("example.com/v1alpha1", "Widget", "widgets")


@pytest.mark.parametrize(
    ("ref", "subresource", "path"),
    [
        (Ref(NAMESPACE, "", "shop"), "", "/api/v1/namespaces/shop"),
        (Ref(CONFIG_MAP, "shop", "a.b"), "", "/api/v1/namespaces/shop/configmaps/a.b"),
        (
            Ref(DEPLOYMENT, "shop", "web"),
            "status",
            "/apis/apps/v1/namespaces/shop/deployments/web/status",
        ),
        (
            Ref(CLUSTER_ROLE, "", "kubenova:projector"),
            "",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubenova%3Aprojector",
        ),
        (
            Ref(CLUSTER_ROLE, "", "A_b c"),
            "",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/A_b%20c",
        ),
        (Ref(CRD_KIND, "a", "b"), "", "/apis/example.com/v1alpha1/namespaces/a/widgets/b"),
    ],
    ids=str,
)
def test_it_builds_the_path_of_an_object(ref: Ref, subresource: str, path: str) -> None:
    assert target(item(ref, subresource)) == path


def test_it_builds_the_path_of_a_collection() -> None:
    assert target(collection(CONFIG_MAP)) == "/api/v1/configmaps"
    assert target(collection(CONFIG_MAP, "a")) == "/api/v1/namespaces/a/configmaps"
    assert target(collection(DEPLOYMENT), (("limit", "5"),)) == "/apis/apps/v1/deployments?limit=5"


def test_it_keeps_the_prefix_of_the_server() -> None:
    assert target(("version",), prefix="/k8s/clusters/c-1") == "/k8s/clusters/c-1/version"


@pytest.mark.parametrize(
    ("path", "built"),
    [
        ("", "/api/v1/serviceaccounts"),
        ("shop", "/api/v1/namespaces/shop/serviceaccounts"),
        ("shop/bot/token", "/api/v1/namespaces/shop/serviceaccounts/bot/token"),
    ],
)
def test_it_builds_the_place_of_a_review(path: str, built: str) -> None:
    assert target(review(SERVICE_ACCOUNT, path)) == built


@pytest.mark.parametrize("path", ["a/b", "a/b/c/d", "../a/token", "a//token", "a/b/../../x"])
def test_it_refuses_another_place_of_a_review(path: str) -> None:
    with pytest.raises(Unaddressable):
        review(SERVICE_ACCOUNT, path)


NO_NAMES = [
    "",
    ".",
    "..",
    "../../b/secrets/victim",
    "x?dryRun=All",
    "x&force=false",
    "x#y",
    "%2e%2e",
    "a%2fb",
    "a/b",
    "a\\b",
    "a\n",
    "a\x00",
    "A",
    "-a",
    "a.",
    "a" * 254,
    "ａ",
]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
@pytest.mark.parametrize("kind", [CONFIG_MAP, CRD_KIND, NAMESPACE], ids=lambda kind: kind.name)
def test_it_refuses_what_is_no_name_a10_a11(kind: Kind, name: str) -> None:
    with pytest.raises(Unaddressable):
        item(Ref(kind, "a" if kind.namespaced else "", name))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a%2fb", "x?dryRun=All", "a#b", "a\n", "a\\b", "a" * 254]
)
def test_it_refuses_what_is_no_rbac_name_a14(name: str) -> None:
    with pytest.raises(Unaddressable):
        item(Ref(CLUSTER_ROLE, "", name))


@pytest.mark.parametrize("namespace", [*NO_NAMES[1:], "a.b", "a" * 64], ids=ascii)
def test_it_refuses_what_is_no_namespace(namespace: str) -> None:
    with pytest.raises(Unaddressable):
        collection(CONFIG_MAP, namespace)


@pytest.mark.parametrize(
    "kind",
    [
        Kind("v1/../..", "X", "xs"),
        Kind("apps/v1?x=y", "X", "xs"),
        Kind("a/b/v1", "X", "xs"),
        Kind("apps/v1", "X", "xs/status"),
        Kind("", "X", "xs"),
        Kind("apps/", "X", "xs"),
        Kind("v1", "X", ".."),
    ],
    ids=str,
)
def test_it_refuses_what_is_no_kind(kind: Kind) -> None:
    with pytest.raises(Unaddressable):
        collection(kind)


def test_it_refuses_an_object_without_its_namespace() -> None:
    with pytest.raises(Unaddressable, match="needs a namespace"):
        item(Ref(CONFIG_MAP, "", "a"))
    with pytest.raises(Unaddressable, match="in no namespace"):
        item(Ref(NAMESPACE, "a", "a"))


def test_a_refusal_is_a_cluster_error_and_a_value_error() -> None:
    """The loop shows it on the row; a caller that means it catches ValueError."""
    with pytest.raises(Refused):
        item(Ref(CONFIG_MAP, "a", ".."))


@pytest.mark.parametrize("segments", [("..",), ("a", ".."), ("a/b",), ("",), ("a?b",), ("a..b",)])
def test_it_refuses_what_is_no_plain_path(segments: tuple[str, ...]) -> None:
    with pytest.raises(Unaddressable):
        plain(*segments)


def test_it_takes_the_discovery_document_of_openid() -> None:
    assert target(plain(".well-known", "openid-configuration")).startswith("/.well-known/")


def test_it_refuses_a_target_that_grows_without_end() -> None:
    with pytest.raises(Unaddressable):
        target(("api",), (("continue", "x" * 20_000),))


@given(
    segments=st.lists(st.text(), min_size=1, max_size=4),
    query=st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=3),
)
def test_every_reader_finds_in_a_target_what_was_put_in_a10_a11(
    segments: list[str], query: list[tuple[str, str]]
) -> None:
    try:
        built = target(tuple(segments), tuple(query))
    except ValueError:
        return
    parts = urlsplit(built)
    assert [unquote(part) for part in parts.path.split("/")] == ["", *segments]
    assert parse_qsl(parts.query, keep_blank_values=True) == query
    assert parts.fragment == ""
    assert parse_url(f"https://host{built}").request_uri == built


@given(name=st.text(alphabet=st.characters(max_codepoint=0x17F)))
def test_a_name_is_refused_or_stays_one_segment_a10(name: str) -> None:
    for ref in (Ref(CONFIG_MAP, "a", name), Ref(CLUSTER_ROLE, "", name)):
        try:
            built = target(item(ref))
        except ValueError:
            continue
        *before, last = built.split("/")
        assert unquote(last) == name
        assert "/".join(before) == target(collection(ref.kind, ref.namespace))


def test_it_selects_by_all_labels_in_order() -> None:
    labels = {"kubenova.io/owner": "a-1", "app.kubernetes.io/managed-by": "kubenova"}
    assert selector(labels) == "app.kubernetes.io/managed-by=kubenova,kubenova.io/owner=a-1"


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"a": ""},
        {"a": "b),x notin (z"},
        {"a": "b,c=d"},
        {"a": "b c"},
        {"a": "b" * 64},
        {"a,b": "c"},
        {"!a": "c"},
        {"": "c"},
        {"a/b/c": "d"},
        {"a in (b)": "c"},
    ],
    ids=str,
)
def test_it_refuses_a_selector_that_could_widen_a30(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        selector(labels)
