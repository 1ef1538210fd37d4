"""Drift: which fields differed from the intent, and who changed them."""

import copy
import json

import pytest

from reconcile.drift import MASK, UNKNOWN, Difference, actor_of, differences
from reconcile.fields import parse
from reconcile.ownership import Hand
from reconcile.values import CORRELATION, MANAGED_BY, Ref
from tests.reconcile.samples import CONFIG_MAP, DEPLOYMENT, OWNED, SECRET, live, manifest

APP = Ref(DEPLOYMENT, "shop", "web")


def deployment():
    """A Deployment as the server answers our apply."""
    container = {
        "name": "web",
        "image": "shop:1",
        "args": ["serve", "--fast"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    }
    spec = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    return live(manifest(DEPLOYMENT, "web", spec=spec)).body


def edited(edit, of=deployment):
    """What was found before our apply: the object after `edit`."""
    body = copy.deepcopy(of())
    edit(body)
    return body


def found_by(edit, of=deployment, ref=APP):
    return differences(edited(edit, of), of(), ref)


def container(body):
    return body["spec"]["template"]["spec"]["containers"][0]


WEB = ".spec.template.spec.containers[name=web]"


@pytest.mark.parametrize(
    ("edit", "path", "found", "wanted"),
    [
        pytest.param(
            lambda body: container(body).update(image="evil:2"),
            f"{WEB}.image",
            "evil:2",
            "shop:1",
            id="image set",
        ),
        pytest.param(
            lambda body: body["spec"].update(replicas=0), ".spec.replicas", 0, 2, id="scaled"
        ),
        pytest.param(
            lambda body: body["spec"].pop("replicas"), ".spec.replicas", None, 2, id="field removed"
        ),
        pytest.param(
            lambda body: body["spec"].update(paused=True),
            ".spec.paused",
            True,
            None,
            id="field added",
        ),
        pytest.param(
            lambda body: container(body)["env"][0].update(value="9"),
            f"{WEB}.env[name=A].value",
            "9",
            "1",
            id="variable changed",
        ),
        pytest.param(
            lambda body: container(body)["env"].pop(0),
            f"{WEB}.env[name=A]",
            None,
            {"name": "A", "value": "1"},
            id="variable removed",
        ),
        pytest.param(
            lambda body: container(body)["env"].append({"name": "C", "value": "3"}),
            f"{WEB}.env[name=C]",
            {"name": "C", "value": "3"},
            None,
            id="variable added",
        ),
        pytest.param(
            lambda body: container(body)["args"].append("--slow"),
            f"{WEB}.args",
            ["serve", "--fast", "--slow"],
            ["serve", "--fast"],
            id="plain list: as a whole",
        ),
        pytest.param(
            lambda body: container(body)["ports"][0].update(containerPort=81),
            f"{WEB}.ports",
            [{"containerPort": 81, "protocol": "TCP"}],
            [{"containerPort": 80, "protocol": "TCP"}],
            id="list without names: as a whole",
        ),
        pytest.param(
            lambda body: container(body).pop("resources"),
            f"{WEB}.resources",
            None,
            {"limits": {"cpu": "1", "memory": "1Gi"}},
            id="whole branch removed",
        ),
        pytest.param(
            lambda body: container(body)["resources"]["limits"].update(cpu="2"),
            f"{WEB}.resources.limits.cpu",
            "2",
            "1",
            id="quantity",
        ),
        pytest.param(
            lambda body: body["metadata"]["labels"].pop(MANAGED_BY),
            f".metadata.labels['{MANAGED_BY}']",
            None,
            "kubenova",
            id="label stripped",
        ),
        pytest.param(
            lambda body: body["metadata"].update(annotations={"note": "mine"}),
            ".metadata.annotations.note",
            "mine",
            None,
            id="first annotation",
        ),
        pytest.param(
            lambda body: body["spec"].update(template="broken"),
            ".spec.template",
            "broken",
            deployment()["spec"]["template"],
            id="branch replaced by a value",
        ),
    ],
)
def test_it_names_the_field_that_differed(edit, path, found, wanted):
    assert found_by(edit) == (Difference(path, found, wanted),)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda body: None, id="nothing"),
        pytest.param(lambda body: body.update(status={"replicas": 1}), id="status"),
        pytest.param(lambda body: body["metadata"].update(resourceVersion="9"), id="version"),
        pytest.param(lambda body: body["metadata"].update(generation=3), id="generation"),
        pytest.param(
            lambda body: body["metadata"].update(managedFields=[{"manager": "x"}]),
            id="managed fields",
        ),
        pytest.param(
            lambda body: body["metadata"].update(annotations={CORRELATION: "other"}),
            id="our correlation id",
        ),
        pytest.param(lambda body: body["metadata"].update(annotations={}), id="empty annotations"),
        pytest.param(
            lambda body: container(body)["env"].reverse(), id="order of a list that goes by name"
        ),
    ],
)
def test_it_overlooks_what_is_no_drift(edit):
    assert found_by(edit) == ()


def test_it_names_every_label_when_all_are_stripped():
    found = found_by(lambda body: body["metadata"].pop("labels"))

    assert [(change.path, change.found, change.wanted) for change in found] == [
        (f".metadata.labels['{key}']", None, OWNED[key]) for key in sorted(OWNED)
    ]


def test_it_names_several_fields_in_order():
    def edit(body):
        body["spec"]["replicas"] = 9
        container(body)["image"] = "evil:2"

    assert [change.path for change in found_by(edit)] == [".spec.replicas", f"{WEB}.image"]


def test_it_sees_an_entry_that_hides_behind_the_name_of_another():
    """Subjects of a binding are told apart by kind and name: one name may stand for two."""

    def binding():
        subjects = [{"kind": "User", "name": "bob"}]
        return {"metadata": {"name": "team"}, "subjects": subjects}

    def edit(body):
        body["subjects"].insert(0, {"kind": "Group", "name": "bob"})

    (change,) = found_by(edit, binding)
    assert change.path == ".subjects" and {"kind": "Group", "name": "bob"} in change.found


def secret():
    return live(manifest(SECRET, "keys", data={"password": "aHVudGVyMg=="})).body


SECRETS = ["aHVudGVyMg==", "aHVudGVyMw==", "hunter"]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda body: body["data"].update(password=SECRETS[1]), id="changed"),
        pytest.param(lambda body: body["data"].update(extra=SECRETS[1]), id="added"),
        pytest.param(lambda body: body.pop("data"), id="all removed"),
        pytest.param(lambda body: body.update(stringData={"p": "hunter4"}), id="string data"),
        pytest.param(
            lambda body: body["metadata"].update(
                annotations={
                    "kubectl.kubernetes.io/last-applied-configuration": json.dumps(secret())
                }
            ),
            id="the copy that kubectl leaves",
        ),
    ],
)
def test_it_masks_the_values_of_secrets_a18(edit):
    found = found_by(edit, secret, Ref(SECRET, "shop", "keys"))

    assert found and all(change.found == change.wanted == MASK for change in found)
    assert not any(value in repr(found) for value in SECRETS)


def test_it_shows_the_labels_of_secrets():
    found = found_by(
        lambda body: body["metadata"]["labels"].pop(MANAGED_BY), secret, Ref(SECRET, "shop", "keys")
    )
    assert [(change.found, change.wanted) for change in found] == [(None, "kubenova")]


def test_it_masks_nothing_else():
    def config():
        return live(manifest(CONFIG_MAP, "rules", data={"a": "1"})).body

    ref = Ref(CONFIG_MAP, "shop", "rules")
    assert found_by(lambda body: body["data"].update(a="2"), config, ref) == (
        Difference(".data.a", "2", "1"),
    )


IMAGE_FIELDS = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}
}


def entry(manager, fields, time="2026-01-01T00:00:00Z", **more):
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields, **more}


@pytest.mark.parametrize(
    ("entries", "path", "actor"),
    [
        pytest.param(
            [entry("kubectl-set", IMAGE_FIELDS)], f"{WEB}.image", "kubectl-set", id="manager named"
        ),
        pytest.param(
            [
                entry("kubectl-edit", {"f:spec": {"f:replicas": {}}}, "2026-01-02T00:00:00Z"),
                entry("kubectl-set", IMAGE_FIELDS, "2026-01-01T00:00:00Z"),
            ],
            f"{WEB}.image",
            "kubectl-set",
            id="manager of the path, not the newest",
        ),
        pytest.param(
            [entry("kubectl-label", {"f:metadata": {"f:labels": {"f:app.io/x": {}}}})],
            ".metadata.labels['app.io/x']",
            "kubectl-label",
            id="key with dots",
        ),
        pytest.param(
            [entry("vim", {"f:spec": {"f:finalizers": {'v:"kubernetes"': {}}}})],
            '.spec.finalizers[="kubernetes"]',
            "vim",
            id="value in a set",
        ),
        pytest.param(
            [entry("vim", {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}}}})],
            ".ports[port=80,protocol=TCP]",
            "vim",
            id="list by other keys",
        ),
        pytest.param(
            [
                entry("older", {"f:data": {}}, "2026-01-01T00:00:00Z"),
                entry("newer", {"f:data": {}}, "2026-01-03T00:00:00Z"),
                entry("middle", {"f:data": {}}, "2026-01-02T00:00:00Z"),
            ],
            ".metadata.labels",
            "newer (probable)",
            id="a removed field: the newest foreign update, probable",
        ),
        pytest.param([], ".spec", UNKNOWN, id="nobody on record"),
        pytest.param([entry("kubenova", IMAGE_FIELDS)], f"{WEB}.image", UNKNOWN, id="we alone"),
        pytest.param(
            [entry("kubelet", {"f:status": {}}, subresource="status")],
            f"{WEB}.image",
            UNKNOWN,
            id="writers of the status do not count",
        ),
        pytest.param([entry("odd", None)], ".spec", "odd (probable)", id="no fields on record"),
        pytest.param(
            [{"fieldsV1": {"f:spec": {}}}], ".spec", UNKNOWN, id="a manager without a name"
        ),
        pytest.param([{"time": "2026"}], ".spec", UNKNOWN, id="nothing but a time"),
        pytest.param(
            [entry("evil", {"k:{broken": {}, "k:5": {}, "f:spec": "text"})],
            ".data",
            "evil (probable)",
            id="nonsense of a hostile cluster",
        ),
    ],
)
def test_it_names_who_changed_a_field(entries, path, actor):
    assert actor_of({"metadata": {"managedFields": entries}}, parse(path)) == actor


def test_it_names_who_set_an_image_beside_what_was_set():
    def edit(body):
        container(body)["image"] = "evil:2"
        body["metadata"]["managedFields"] = [entry("kubectl-set", IMAGE_FIELDS)]

    assert found_by(edit) == (
        Difference(f"{WEB}.image", "evil:2", "shop:1", "kubectl-set", Hand.HUMAN),
    )


def test_an_object_without_metadata_was_changed_by_nobody_known():
    assert actor_of({}, parse(".spec")) == UNKNOWN
