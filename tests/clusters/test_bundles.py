"""A bundle is hostile text: what is read of it, in which order, and what is refused by name."""

import pytest
import yaml

from clusters.bundles import MAX_BYTES, Wave, defined, read
from clusters.plainyaml import Malformed

NAMED = {"name": "x"}


def manifest(kind: str, name: str = "x", api: str = "v1", **meta: object) -> dict:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **meta}}


def text(*manifests: dict) -> bytes:
    return yaml.safe_dump_all(manifests).encode()


def definition(**spec: object) -> dict:
    versions = [
        {"name": "v1", "served": True},
        {"name": "v1beta1", "served": True},
        {"name": "v1alpha1", "served": False},
    ]
    names = {"kind": "Widget", "plural": "widgets"}
    body = manifest("CustomResourceDefinition", "widgets.example.org", "apiextensions.k8s.io/v1")
    whole = {"group": "example.org", "scope": "Namespaced", "names": names, "versions": versions}
    return body | {"spec": whole | spec}


def test_it_is_ordered_by_what_has_to_be_there_first():
    found = read(
        text(
            manifest("ValidatingWebhookConfiguration", api="admissionregistration.k8s.io/v1"),
            manifest("Deployment", api="apps/v1"),
            manifest("ClusterRoleBinding", api="rbac.authorization.k8s.io/v1"),
            manifest("Widget", api="example.org/v1"),
            definition(),
            manifest("Namespace", "capsule-system"),
        )
    )
    assert [item.wave for item in found.items] == [
        Wave.NAMESPACES,
        Wave.DEFINITIONS,
        Wave.RIGHTS,
        Wave.OBJECTS,
        Wave.OBJECTS,
        Wave.WEBHOOKS,
    ]
    assert [str(item) for item in found.wave(Wave.OBJECTS)] == ["Deployment x", "Widget x"]


def test_it_knows_the_kinds_that_it_brings():
    found = read(text(definition()))
    assert found.brings == {("example.org/v1", "Widget"), ("example.org/v1beta1", "Widget")}
    kinds = list(defined(found.items[0]))
    assert {(kind.plural, kind.namespaced) for kind in kinds} == {("widgets", True)}


def test_lists_and_empty_documents_are_read_as_helm_renders_them():
    listed = {"apiVersion": "v1", "kind": "List", "items": [manifest("ConfigMap", "a")]}
    raw = b"---\n# nothing\n---\n" + text(listed, manifest("ConfigMap", "b")) + b"---\n"
    assert [str(item) for item in read(raw).items] == ["ConfigMap a", "ConfigMap b"]


def test_numbers_and_booleans_keep_their_types():
    raw = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, a: 420, b: true, c: '1'}"
    body = read(raw).items[0].body
    assert (body["a"], body["b"], body["c"]) == (420, True, "1")


def test_what_a_server_writes_is_left_out():
    body = manifest("ConfigMap", creationTimestamp=None) | {"status": {"phase": "x"}}
    found = read(text(body)).items[0].body
    assert "status" not in found and found["metadata"] == NAMED


@pytest.mark.parametrize(
    ("hook", "kept"),
    [
        pytest.param("pre-install,pre-upgrade", True, id="of an installation"),
        pytest.param("pre-delete", False, id="of a deletion"),
        pytest.param("test", False, id="of a test"),
        pytest.param("post-upgrade", False, id="of an upgrade"),
    ],
)
def test_hooks_that_no_installation_runs_are_left_out(hook, kept):
    job = manifest("Job", "hook", "batch/v1", annotations={"helm.sh/hook": hook})
    found = read(text(manifest("ConfigMap"), job))
    assert ("Job hook" in [str(item) for item in found.items]) is kept
    assert found.skipped == (() if kept else ("Job hook",))


LAUGHS = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
MANAGED = {"app.kubernetes.io/managed-by": "kubenova"}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        pytest.param(LAUGHS, "anchor", id="anchors"),
        pytest.param(b"!!python/object/apply:os.system ['true']", "tag", id="tags"),
        pytest.param(b"\xff\xfe", "UTF-8", id="no text"),
        pytest.param(b"a: [", "not valid YAML", id="no YAML"),
        pytest.param(b"[" * 200 + b"]" * 200, "nested deeper", id="deep"),
        pytest.param(b"- 1\n- 2\n", "no object", id="a list"),
        pytest.param(b"", "holds no object", id="nothing"),
        pytest.param(b"x" * (MAX_BYTES + 1), "larger than", id="large"),
        pytest.param(text(manifest("ConfigMap"), manifest("ConfigMap")), "once more", id="twice"),
        pytest.param(text({"kind": "ConfigMap", "metadata": NAMED}), "apiVersion", id="version"),
        pytest.param(text(manifest("../x")), "valid kind", id="a kind that is a path"),
        pytest.param(text(manifest("ConfigMap", api="v1/../x")), "apiVersion", id="a path"),
        pytest.param(text(manifest("ConfigMap", "")), "without a name", id="no name"),
        pytest.param(b"a: 1\na: 2\n", "given twice", id="two readings"),
        pytest.param(b"1: a\n", "not text", id="a number for a key"),
    ],
)
def test_what_is_no_bundle_is_refused(raw, told):
    with pytest.raises(Malformed) as caught:
        read(raw)
    assert told in f"{caught.value.where} {caught.value.message}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(manifest("Namespace", "kubenova-system"), id="our namespace"),
        pytest.param(manifest("ConfigMap", "epoch", namespace="kubenova-system"), id="inside"),
        pytest.param(manifest("ClusterRole", "kubenova:manager"), id="our role"),
        pytest.param(manifest("ValidatingAdmissionPolicy", "kubenova-guard"), id="our guard"),
        pytest.param(manifest("ConfigMap", labels=MANAGED), id="our label"),
        pytest.param(manifest("ConfigMap", annotations={"kubenova.io/owner": "x"}), id="our mark"),
        pytest.param(manifest("Namespace", "kube-system"), id="the cluster's namespace"),
        pytest.param(manifest("Secret", namespace="kube-system"), id="inside of the cluster's"),
    ],
)
def test_kubenovas_and_the_clusters_own_are_never_written(body):
    with pytest.raises(Malformed) as caught:
        read(text(body))
    assert "own to write" in caught.value.message or "the cluster itself" in caught.value.message


def test_an_aggregated_server_may_bind_its_role_in_kube_system():
    body = manifest("RoleBinding", namespace="kube-system", api="rbac.authorization.k8s.io/v1")
    assert read(text(body)).items[0].namespace == "kube-system"
