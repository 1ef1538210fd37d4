"""Each role on a real API server may what docs/roles.md says: nothing else, and nowhere else."""

import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusters.adapters.role_matrix import LETTERS, parsed
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from sandbox.api import AdminApi, JsonObject
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tenancy.rules.subjects import BINDABLE_ROLES
from tests.clusters.steps import settle_until
from tests.people import person

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

SOON = 60.0
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
DOCUMENTED = parsed((Path(__file__).parents[2] / "docs" / "roles.md").read_text())
TEAM = {"alice": Role.ADMIN, "bob": Role.DEV, "carol": Role.READ_ONLY}
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Asked:
    """May somebody with these names do that, in a namespace or (empty) in the whole cluster?"""

    user: str
    group: str
    verb: str
    resource: tuple[str, str]  # API group, resource with its subresource
    namespace: str
    name: str = ""

    def review(self) -> JsonObject:
        """The body of a SubjectAccessReview."""
        group, (plural, _, inner) = self.resource[0], self.resource[1].partition("/")
        attributes = {
            "verb": self.verb,
            "group": group,
            "resource": plural,
            "subresource": inner,
            "namespace": self.namespace,
            "name": self.name,
        }
        groups = ["system:authenticated", *([self.group] if self.group else [])]
        return {"spec": {"user": self.user, "groups": groups, "resourceAttributes": attributes}}


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


def group_of(role: str) -> str:
    return f"{role}-people"


@pytest.fixture
def shop(admin_kubeconfig: str) -> Iterator[Project]:
    """A project in which every role is bound to a group, three also to members; and a neighbour."""
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    bound = [
        {"role": role, "subjects": [{"kind": "Group", "name": group_of(role)}]}
        for role in BINDABLE_ROLES
    ]
    mark = uuid.uuid4().hex[:6]
    for name, bindings in ((f"mine-{mark}", bound), (f"theirs-{mark}", [])):
        tenant = Tenant(name=name, placement={"clusters": ["real"]}, role_bindings=bindings)
        tenant.declare(by="olga")
        Project(tenant=tenant, name="shop").declare(by="olga")
    mine = Project.objects.get(tenant__name=f"mine-{mark}")
    for name, role in TEAM.items():
        mine.tenant.admit(person(name), role, by="olga")
    settle_until(lambda: set(Project.objects.values_list("phase", flat=True)) == {"Deployed"}, SOON)
    yield mine
    for tenant in Tenant.objects.all():
        tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


def allowed(api: AdminApi, questions: Iterable[Asked]) -> set[Asked]:
    """Those that the API server says yes to."""

    def answer(asked: Asked) -> tuple[Asked, bool]:
        return asked, api.create(REVIEWS, asked.review())["status"]["allowed"]

    with ThreadPoolExecutor(8) as threads:
        return {asked for asked, yes in threads.map(answer, list(questions)) if yes}


def elsewhere(shop: Project) -> tuple[str, ...]:
    """Namespaces in which nobody of the tenant has anything, and (empty) the cluster as a whole."""
    theirs = Project.objects.exclude(pk=shop.pk).get()
    return (theirs.namespace, "kube-system", "kubenova-system", "kubenova-grants", "default", "")


def test_every_role_may_what_is_documented_and_nothing_else(shop, admin_api):
    space = shop.namespace
    questions = {
        Asked("somebody", group_of(role), verb, resource, space): verb in verbs
        for resource, roles in DOCUMENTED.items()
        for role, verbs in roles.items()
        for verb in LETTERS
    }
    assert len(questions) > 2000 and {each.group for each in questions} == {
        group_of(role) for role in BINDABLE_ROLES
    }
    assert allowed(admin_api, questions) == {asked for asked, yes in questions.items() if yes}


def test_members_have_the_role_that_they_are_given(shop, admin_api):
    questions = {
        Asked(f"kubenova:{name}", "", verb, resource, shop.namespace): verb in roles[role]
        for resource, roles in DOCUMENTED.items()
        for name, role in TEAM.items()
        for verb in ("get", "create", "delete")
    }
    assert allowed(admin_api, questions) == {asked for asked, yes in questions.items() if yes}


def test_no_role_reaches_beyond_its_namespace(shop, admin_api):
    questions = [
        Asked("kubenova:alice", group_of(role), verb, resource, space)
        for space in elsewhere(shop)
        for resource, roles in DOCUMENTED.items()
        for role, verbs in roles.items()
        for verb in sorted(verbs & {"get", "create"})
    ]
    assert len(questions) > 200
    assert allowed(admin_api, questions) == set()


DENIED = (
    # Tokens, and what is worth as much.
    ("create", ("", "serviceaccounts/token"), ""),
    ("create", ("certificates.k8s.io", "certificatesigningrequests"), ""),
    ("approve", ("certificates.k8s.io", "signers"), "kubernetes.io/kube-apiserver-client"),
    ("create", ("authentication.k8s.io", "tokenreviews"), ""),
    # More rights than one has.
    ("bind", (_RBAC, "clusterroles"), "cluster-admin"),
    ("bind", (_RBAC, "clusterroles"), "kubenova:tenant-admin"),
    ("bind", (_RBAC, "roles"), "any"),
    ("escalate", (_RBAC, "clusterroles"), "cluster-admin"),
    ("escalate", (_RBAC, "roles"), "any"),
    ("create", (_RBAC, "roles"), ""),
    ("create", (_RBAC, "rolebindings"), ""),
    ("patch", (_RBAC, "rolebindings"), "kubenova:tenant-admin"),
    ("create", (_RBAC, "clusterrolebindings"), ""),
    # Being somebody else.
    ("impersonate", ("", "users"), "kubenova:alice"),
    ("impersonate", ("", "groups"), "system:masters"),
    ("impersonate", ("", "serviceaccounts"), "default"),
    ("impersonate", ("authentication.k8s.io", "userextras/scopes"), "any"),
    ("impersonate", ("authentication.k8s.io", "uids"), "any"),
    # Ways around the API.
    ("get", ("", "nodes/proxy"), "node"),
    ("create", ("", "nodes/proxy"), "node"),
    ("get", ("", "pods/proxy"), "pod"),
    ("get", ("", "services/proxy"), "service"),
    ("patch", ("", "pods/ephemeralcontainers"), "pod"),
    # Namespaces and what binds them.
    ("create", ("", "namespaces"), ""),
    ("patch", ("", "namespaces"), ""),
    ("update", ("", "namespaces"), ""),
    ("delete", ("", "namespaces"), ""),
    ("update", ("", "namespaces/finalize"), ""),
    ("update", ("", "namespaces/status"), ""),
    ("patch", ("", "resourcequotas"), "kubenova"),
    ("delete", ("", "limitranges"), "kubenova"),
    ("delete", ("networking.k8s.io", "networkpolicies"), "kubenova-isolation"),
    ("create", ("networking.k8s.io", "networkpolicies"), ""),
    ("patch", ("admissionregistration.k8s.io", "validatingadmissionpolicies"), "kubenova-guard"),
    ("delete", ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"), "any"),
    # Platforms that act with rights of their own.
    ("create", ("core.oam.dev", "applications"), ""),
    ("create", ("capsule.clastix.io", "tenantresources"), ""),
    ("*", ("*", "*"), ""),
)


def test_no_role_may_what_would_give_it_more(shop, admin_api):
    questions = [
        Asked("kubenova:alice", group_of(role), verb, resource, space, name)
        for role in BINDABLE_ROLES
        for verb, resource, name in DENIED
        for space in (shop.namespace, "")
    ]
    assert allowed(admin_api, questions) == set()


def test_only_who_works_with_secrets_reads_them(shop, admin_api):
    verbs = ("get", "list", "watch")
    questions = [
        Asked("somebody", group_of(role), verb, ("", "secrets"), shop.namespace)
        for role in BINDABLE_ROLES
        for verb in verbs
    ]
    readers = {asked.group for asked in allowed(admin_api, questions)}
    assert readers == {group_of(role) for role in ("tenant-admin", "tenant-dev", "secrets")}
