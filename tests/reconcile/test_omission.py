"""Who owns which fields, and what an apply leaves out for their sake."""

import pytest

from reconcile.fields import ABSENT, copied, get, of_item, parse, shown
from reconcile.omission import (
    NOTHING,
    Extra,
    Handling,
    Known,
    Rule,
    omitted,
    same_base,
    taken,
)
from reconcile.ownership import (
    Hand,
    actor_of,
    covers,
    hand_at,
    hand_of,
    owners_of,
    placed,
    related,
    scaled_by_others,
    scales,
)
from reconcile.values import Live, Ref, RepairMode, digest
from tests.reconcile.samples import CONFIG_MAP, DEPLOYMENT, SECRET, manifest
from tests.server_side_apply import Schema, fields_of, fields_v1

APP = Ref(DEPLOYMENT, "shop", "web")
EDITOR, SCALER = "kubectl-edit", "kube-controller-manager"
WEB = ".spec.template.spec.containers[name=web]"


def wanted(**spec):
    """The Deployment as an adapter renders it."""
    web = {"name": "web", "image": "shop:1", "args": ["a"], "env": [{"name": "A", "value": "1"}]}
    db = {"name": "db", "image": "pg:1"}
    template = {"spec": {"containers": [web, db]}}
    return manifest(DEPLOYMENT, "web", spec={"replicas": 2, "template": template, **spec})


def found(edit=None, by=EDITOR, subresource="", also=None, body=None):
    """The object as it is live after `edit`; whoever edited owns what is not as we want it."""
    ours = body or wanted()
    body = {**ours, "spec": _edited(ours["spec"], edit)}
    schema = Schema()
    mine, all_ = fields_of(schema, ours), fields_of(schema, body)
    kept = {path for path in mine & all_ if _same(ours, body, path)}
    entries = [entry("kubenova", kept, operation="Apply")]
    if theirs := all_ - kept:
        entries.append(entry(by, theirs, subresource=subresource))
    meta = {**ours["metadata"], "uid": "u1", "managedFields": [*entries, *(also or ())]}
    return Live(APP, {**body, "metadata": meta})


def _edited(spec, edit):
    changed = copied(spec)
    if edit:
        edit(changed)
    return changed


def _same(one, other, path):
    return path[-1] == "." or get(one, path) == get(other, path)


def entry(manager, fields, operation="Update", **more):
    return {
        "manager": manager,
        "operation": operation,
        "fieldsV1": fields_v1(frozenset(fields)),
        **{key: value for key, value in more.items() if value},
    }


def container(spec, at=0):
    return spec["template"]["spec"]["containers"][at]


def left(handling, live, body=None):
    """The paths that are left out, as people read them."""
    out = omitted(handling, APP, body or wanted(), live)
    return sorted(shown(path) for path in out.ruled | out.drifted)


def ruled(**rule):
    return Handling(rules=(Rule(**rule),))


def drifted(*paths, mode=RepairMode.MANUAL, approved=(), held=""):
    known = tuple(Known(path, path in approved) for path in paths)
    return Handling(mode=mode, held=held, known={APP: known})


def scale(spec):
    spec["replicas"] = 9


def set_image(spec):
    container(spec)["image"] = "evil:2"


# --- Owners.


def test_owners_hold_the_outermost_fields_they_own():
    (ours, theirs) = owners_of(found(set_image).body)

    assert ours.ours and not theirs.ours
    assert [shown(leaf) for leaf in theirs.leaves] == [f"{WEB}.image"]
    assert ".spec.replicas" in [shown(leaf) for leaf in ours.leaves]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None},
        {"metadata": {"managedFields": "x"}},
        {"metadata": {"managedFields": ["x", None]}},
    ],
)
def test_what_makes_no_sense_has_no_owner(body):
    assert owners_of(body) == () and not scaled_by_others(body)


def test_a_hostile_depth_is_read_without_recursion():
    deep: dict = {}
    for _ in range(5000):
        deep = {"f:a": deep}
    (owner,) = owners_of({"metadata": {"managedFields": [{"manager": "x", "fieldsV1": deep}]}})

    assert len(owner.leaves[0]) == 5000


def test_paths_to_one_item_are_equal_once_they_are_placed():
    body = {"ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53}]}
    by_name, by_port = ("f:ports", of_item({"name": "dns"})), ("f:ports", of_item({"port": 53}))

    assert placed(by_name, body) == placed(by_port, body) == ("f:ports", "i:1")
    assert placed(("f:ports", of_item({"name": "x"}), "f:a"), body)[1:] == (
        of_item({"name": "x"}),
        "f:a",
    )


def test_paths_are_related_when_one_leads_to_the_other():
    assert covers(("f:a",), ("f:a", "f:b")) and not covers(("f:a", "f:b"), ("f:a",))
    assert related(("f:a", "f:b"), ("f:a",)) and not related(("f:a", "f:b"), ("f:a", "f:c"))


@pytest.mark.parametrize(
    ("manager", "subresource", "hand"),
    [
        ("kubectl-edit", "", Hand.HUMAN),
        ("kubectl", "scale", Hand.HUMAN),
        ("kubectl-client-side-apply", "", Hand.HUMAN),
        ("kubectl-set (probable)", "", Hand.HUMAN),
        ("Mozilla", "", Hand.HUMAN),
        ("k9s", "", Hand.HUMAN),
        ("kube-controller-manager", "scale", Hand.AUTOSCALER),
        ("kube-controller-manager", "", Hand.CONTROLLER),
        ("keda-operator", "", Hand.AUTOSCALER),
        ("vpa-recommender", "", Hand.AUTOSCALER),
        ("argocd-controller", "", Hand.CONTROLLER),
        ("vparty", "", Hand.CONTROLLER),
        ("octopus", "", Hand.CONTROLLER),
        ("unknown", "", Hand.UNKNOWN),
        ("", "", Hand.UNKNOWN),
    ],
)
def test_people_autoscalers_and_controllers_are_told_apart(manager, subresource, hand):
    assert hand_of(manager, subresource) is hand


def test_the_hand_of_an_actor_is_seen_by_what_it_wrote_through():
    scaled = found(scale, SCALER, "scale").body
    assert hand_at(scaled, SCALER) is Hand.AUTOSCALER
    assert hand_at(found(scale, SCALER).body, SCALER) is Hand.CONTROLLER
    assert actor_of(scaled, parse(".spec.replicas")) == SCALER


@pytest.mark.parametrize(
    ("manager", "subresource", "path", "verdict"),
    [
        (SCALER, "scale", ".spec.replicas", True),
        (SCALER, "scale", ".spec.paused", False),
        (SCALER, "", ".spec.replicas", False),
        ("keda-operator", "", ".spec.replicas", True),
        ("keda-operator", "", f"{WEB}.image", False),
        ("vpa-updater", "", f"{WEB}.resources.limits.cpu", True),
        (EDITOR, "scale", ".spec.replicas", False),
    ],
)
def test_an_autoscaler_has_its_own_fields(manager, subresource, path, verdict):
    assert scales(manager, subresource, path) is verdict


# --- What is left out.


def test_nothing_is_left_out_of_what_is_only_ours():
    assert omitted(Handling(), APP, wanted(), found()) is NOTHING
    assert left(ruled(pointer="/spec/replicas"), found()) == []


def test_nothing_is_left_out_of_what_is_not_there():
    assert omitted(ruled(pointer="/spec"), APP, wanted(), None) is NOTHING


def test_an_autoscaler_keeps_its_replicas():
    assert left(Handling(), found(scale, SCALER, "scale")) == [".spec.replicas"]
    assert left(Handling(), found(scale, EDITOR, "scale")) == []


def test_an_autoscaler_of_what_we_do_not_want_takes_nothing():
    body = wanted()
    del body["spec"]["replicas"]
    assert left(Handling(), found(scale, SCALER, "scale"), body) == []


SIDE = "/spec/template/spec/containers"


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        pytest.param({"pointer": f"{SIDE}/name=web/image"}, [f"{WEB}.image"], id="by name"),
        pytest.param({"pointer": f"{SIDE}/0/image"}, [f"{WEB}.image"], id="by place"),
        pytest.param({"pointer": "/spec/template"}, [f"{WEB}.image"], id="a branch"),
        pytest.param({}, [f"{WEB}.image"], id="the whole object"),
        pytest.param({"manager": EDITOR}, [f"{WEB}.image"], id="a manager"),
        pytest.param({"manager": "argocd"}, [], id="another manager"),
        pytest.param({"pointer": f"{SIDE}/name=db"}, [], id="another item"),
        pytest.param({"pointer": "/spec/replicas"}, [], id="another field"),
        pytest.param({"pointer": "/spec/template", "kind": "Deployment"}, [f"{WEB}.image"]),
        pytest.param({"pointer": "/spec/template", "kind": "StatefulSet"}, [], id="another kind"),
        pytest.param({"pointer": "/spec/template", "name": "web"}, [f"{WEB}.image"]),
        pytest.param({"pointer": "/spec/template", "name": "api"}, [], id="another object"),
        pytest.param({"pointer": "broken"}, [], id="no pointer"),
    ],
)
def test_a_rule_leaves_out_what_others_own_there(rule, paths):
    assert left(ruled(**rule), found(set_image)) == paths


def test_what_is_owned_as_a_whole_is_left_out_as_a_whole():
    live = found(lambda spec: container(spec)["args"].append("--debug"))
    assert left(ruled(pointer=f"{SIDE}/name=web/args/0"), live) == [f"{WEB}.args"]


def test_what_was_removed_is_left_out():
    live = found(lambda spec: container(spec).pop("env"))
    assert left(ruled(pointer=f"{SIDE}/name=web/env/name=A"), live) == [f"{WEB}.env[name=A]"]
    assert left(ruled(pointer=f"{SIDE}/name=web"), live) == [f"{WEB}.env"]
    assert left(ruled(manager=EDITOR), live) == [], "nobody owns what is not there"


def test_a_removed_item_comes_back_as_a_whole_or_not_at_all():
    live = found(lambda spec: spec["template"]["spec"]["containers"].pop(1))
    assert left(ruled(pointer=f"{SIDE}/name=db/image"), live) == []
    assert left(ruled(pointer=f"{SIDE}/name=db"), live) == [
        ".spec.template.spec.containers[name=db]"
    ]


def test_what_two_own_is_given_up_to_the_other():
    both = [entry("argocd", {("f:spec", "f:replicas")}, operation="Apply")]
    assert left(ruled(manager="argocd"), found(also=both)) == [".spec.replicas"]


def test_writers_of_the_status_own_nothing_that_matters():
    status = [entry("argocd", {("f:spec", "f:replicas")}, subresource="status")]
    assert left(ruled(pointer="/spec"), found(also=status)) == []


@pytest.mark.parametrize(
    ("handling", "paths"),
    [
        pytest.param(drifted(f"{WEB}.image"), [f"{WEB}.image"], id="manual"),
        pytest.param(drifted(f"{WEB}.image", mode=RepairMode.AUTO), [], id="auto"),
        pytest.param(
            drifted(f"{WEB}.image", mode=RepairMode.AUTO, held="x"), [f"{WEB}.image"], id="held"
        ),
        pytest.param(drifted(f"{WEB}.image", approved=[f"{WEB}.image"]), [], id="approved"),
        pytest.param(
            drifted(f"{WEB}.image", approved=[f"{WEB}.image"], held="x"),
            [f"{WEB}.image"],
            id="approved, but held",
        ),
        pytest.param(drifted(".spec.replicas"), [], id="ours again"),
        pytest.param(
            Handling(known={APP: (Known(f"{WEB}.image", contested=True),)}),
            [f"{WEB}.image"],
            id="contested",
        ),
        pytest.param(drifted("no path"), [f"{WEB}.image"], id="unreadable: the whole object"),
    ],
)
def test_drift_that_stays_is_left_out(handling, paths):
    assert left(handling, found(set_image)) == paths


def test_an_approval_takes_what_is_owned_as_a_whole_along():
    """Two fields of one list that the server knows only as a whole cannot be repaired apart."""

    def edit(spec):
        spec["steps"] = [{"name": "a", "run": "evil"}, {"name": "b", "run": "evil"}]

    body = wanted(steps=[{"name": "a", "run": "1"}, {"name": "b", "run": "2"}])
    live = found(edit, body=body)
    one, other = ".spec.steps[name=a].run", ".spec.steps[name=b].run"
    assert left(drifted(one, other), live, body) == [".spec.steps"]
    assert left(drifted(one, other, approved=[one]), live, body) == []


def test_a_manifest_lacks_what_is_left_out():
    out = omitted(ruled(pointer=f"{SIDE}/name=web/image"), APP, wanted(), found(set_image))
    body = out.of(wanted())

    assert get(body, parse(f"{WEB}.image")) is ABSENT
    assert get(body, parse(f"{WEB}.args")) == ["a"]


def test_what_is_left_out_shows_in_the_hash_and_the_base_stays():
    base, live = digest(wanted()), found(set_image)
    by_rule = omitted(ruled(pointer=f"{SIDE}/name=web/image"), APP, wanted(), live).hash(base)
    as_drift = omitted(drifted(f"{WEB}.image"), APP, wanted(), live).hash(base)

    assert len({base, by_rule, as_drift}) == 3 and {len(by_rule), len(as_drift)} == {32}
    assert same_base(base, by_rule) and same_base(by_rule, as_drift)
    assert not same_base(base, digest(wanted(replicas=3)))
    assert NOTHING.hash(base) == base and not NOTHING


# --- Drift that nobody has looked at.


def test_what_others_have_taken_is_known_by_its_owner():
    assert [shown(path) for path in taken(wanted(), found(set_image))] == [f"{WEB}.image"]
    assert taken(wanted(), found()) == frozenset()


def test_what_others_set_as_we_want_it_is_not_taken():
    live = found(set_image)
    body = wanted()
    container(body["spec"])["image"] = "evil:2"

    assert taken(body, live) == frozenset()


def test_what_is_ours_as_well_is_not_taken():
    both = [entry("argocd", {("f:spec", "f:replicas")}, operation="Apply")]
    assert taken(wanted(replicas=3), found(also=both)) == frozenset()


# --- How drift is dealt with.


def test_a_rule_about_nothing_else_leaves_the_whole_object():
    handling = Handling(rules=(Rule("Secret", "keys"),))

    assert handling.ignores(Ref(SECRET, "shop", "keys"))
    assert not handling.ignores(Ref(CONFIG_MAP, "shop", "keys"))
    assert not ruled(pointer="/data").ignores(APP)


@pytest.mark.parametrize(
    ("handling", "due"),
    [
        pytest.param(Handling(), False, id="nothing known"),
        pytest.param(drifted("a"), False, id="shown"),
        pytest.param(drifted("a", approved=["a"]), True, id="approved"),
        pytest.param(drifted("a", approved=["a"], held="x"), False, id="held"),
        pytest.param(drifted("a", mode=RepairMode.AUTO), True, id="left over from mode manual"),
        pytest.param(
            Handling(known={APP: (Known("a", contested=True),)}), False, id="contested for now"
        ),
    ],
)
def test_what_is_on_record_is_repaired_when_it_may_be(handling, due):
    assert handling.due(APP) is due


def test_an_extra_object_goes_with_approval_and_not_from_a_held_cluster():
    approved, other = Extra(APP, "u1", approved=True), Extra(APP, "u2")

    assert Handling(extras=(approved, other)).unwelcome == (approved,)
    assert Handling(extras=(approved,), held="x").unwelcome == ()


def test_one_writes_carefully_where_others_have_a_say():
    assert not Handling().careful(APP)
    assert ruled(pointer="/spec").careful(APP) and not ruled(kind="Secret").careful(APP)
    assert Handling(mode=RepairMode.MANUAL).careful(APP) and drifted("a").careful(APP)
