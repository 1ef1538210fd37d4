"""Rules in CEL on a real API server: compiled, published, enforced as attached, and taken away."""

from collections.abc import Iterator

import pytest

from clusters.credentials import Given
from clusters.intents import SYSTEM_NAMESPACE
from clusters.kubeconfig import parse
from clusters.models import Capability, Cluster
from clusters.models.bundling import Asked
from clusters.models.carrying import Carrying
from clusters.rules import address_rules
from policies.models import Attachment, CelRule, PolicySet, RulePublication, Simulation
from policies.models.compiling import refuse_uncompiled
from reconcile.refusals import Invalid
from reconcile.values import JSON, Phase
from sandbox.api import AdminApi
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.live.ruled import ADMISSION, keys, place, refusal, registered, service, until
from tests.live.test_capsule import capsule, cluster

__all__ = ["capsule", "cluster", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(600)]

CLOSED = "object.spec.type == 'ClusterIP'"
TOLD = "Services stay inside."
BOMB = "[1,2,3,4,5,6,7,8,9].all(i, " * 8 + "true" + ")" * 8


@pytest.fixture
def given(admin_kubeconfig: str) -> Given:
    """The credential of an administrator."""
    return Given.of(parse(admin_kubeconfig.encode(), address_rules()))


@pytest.fixture
def real(admin_kubeconfig: str) -> Iterator[Cluster]:
    """The control plane with its baseline, on plain Kubernetes."""
    yield registered(admin_kubeconfig)


def kept(expression: str = CLOSED) -> CelRule:
    validations = [{"expression": expression, "message": TOLD}]
    values: JSON = {"resources": ["services"], "operations": ["CREATE", "UPDATE"]}
    values |= {"variables": [], "validations": validations}
    return CelRule.keep({"name": "closed"}, values, by="olga")[0]


def carry(row: CelRule, where: Cluster, given: Given) -> None:
    """Publish it, as the API does."""
    asked = Asked(where, "", b"", given, "", False, "olga")
    found = Carrying.of([row], asked, SYSTEM_NAMESPACE)
    refuse_uncompiled(found)
    found.publish()


def published(row: CelRule, where: Cluster, given: Given) -> None:
    carry(row, where, given)

    def there() -> bool:
        return (
            RulePublication.objects.get().state()[0] == Phase.DEPLOYED
            and Capability.objects.filter(name=row.ability, served=True).exists()
        )

    settle_until(there)


def left(api: AdminApi) -> list[str]:
    """The names of all that the rule has on the cluster."""
    plurals = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    items = (item for plural in plurals for item in api.items(f"{ADMISSION}/{plural}"))
    return [
        each["metadata"]["name"] for each in items if "kubenova-cel" in each["metadata"]["name"]
    ]


def project_on(where: Cluster) -> Project:
    tenant = Tenant(name="celled", placement={"clusters": [where.name]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="olga")
    settle_until_deployed(project)
    return project


def attached(mode: str) -> Attachment:
    strict = PolicySet(name="celled", rules={"cel": {"rules": ["closed"]}})
    strict.declare(by="olga")
    row = Attachment(policy_set=strict, name="all", mode=mode, tenants=["celled"])
    row.declare(by="olga")
    return row


def gone(api: AdminApi, row: CelRule, where: Cluster, given: Given) -> None:
    """Take everything away again; nothing of the rule stays on the cluster."""
    PolicySet.objects.get().request_deletion(by="olga")
    settle_until(lambda: not PolicySet.objects.exists())
    assert row.request_deletion() is False
    row.refresh_from_db()
    carry(row, where, given)
    settle_until(lambda: not CelRule.objects.exists())
    assert left(api) == []
    Tenant.objects.get().request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists())


def test_it_is_enforced_as_hard_as_it_is_attached(real, given, admin_api):
    row = kept()
    project = project_on(real)
    published(row, real, given)
    path = place(project.namespace, "services")

    def made(sort: str) -> tuple[str, str]:
        """What the API server refuses with, and what it warns of."""
        tried = {**service(sort), "metadata": {"name": "tried"}}
        answer = admin_api.request("POST", path, tried, params={"dryRun": "All"})
        told = "" if answer.status == 201 else answer.body.decode()
        return told, answer.headers.get("warning", "")

    assert made("NodePort") == ("", ""), "nobody names it yet"
    bound = attached("audit")
    settle_until_deployed(project)
    assert made("NodePort") == ("", ""), "the audit log tells, nobody is stopped"
    simulation = Simulation.begin(bound.policy_set, bound.attached, "olga")
    admin_api.create(path, service("NodePort"))
    settle_until(lambda: not simulation.runs.filter(finished_at=None).exists())
    (found,) = simulation.findings.all()
    assert (found.name, found.rule, found.message) == ("web", "cel", f"closed: {TOLD}")

    bound.refresh_from_db()
    bound.promote("olga")
    settle_until(lambda: TOLD in made("NodePort")[1])
    assert made("NodePort")[0] == "" and made("ClusterIP") == ("", "")
    admin_api.delete(f"{path}/web")

    bound.refresh_from_db()
    bound.promote("olga")
    settle_until(lambda: TOLD in made("NodePort")[0])
    assert made("ClusterIP") == ("", "")
    settle_until_deployed(project)
    assert project.placements.get().facts["proved"]
    gone(admin_api, row, real, given)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("object.spec.type ==", "Syntax error"),
        ("objct.spec.type == ''", "undeclared reference to 'objct'"),
        ("1 + 1", "expected type 'bool' but found 'int'"),
        ("'a'.matches('(a{1000}){1000}')", "invalid matches argument"),
    ],
)
def test_what_does_not_compile_is_refused_where_it_was_written(real, given, expression, told):
    row = kept(expression)
    with pytest.raises(Invalid) as refused:
        carry(row, real, given)
    (fault, *_) = refused.value.errors
    assert fault.pointer == "/validations/0/expression"
    assert told in fault.detail, fault.detail
    assert not RulePublication.objects.exists()
    row.delete()


def test_an_expression_that_never_ends_is_cut_short_and_fails_closed(real, given, admin_api):
    row = kept(f"{BOMB} && 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')")
    project = project_on(real)
    published(row, real, given)
    attached("enforce")
    path = place(project.namespace, "services")

    def said() -> str:
        return refusal(lambda: admin_api.create(path, service(), dryRun="All"))

    settle_until(lambda: "cost limit exceeded" in said())
    gone(admin_api, row, real, given)


def test_a_project_of_capsule_is_held_by_it_as_well(cluster, given, admin_api):
    row = kept()
    project = project_on(cluster)
    published(row, cluster, given)
    attached("enforce")
    path = place(project.namespace, "services")

    def said(sort: str) -> str:
        return refusal(lambda: admin_api.create(path, service(sort), dryRun="All"))

    settle_until(lambda: TOLD in said("NodePort"))
    until(lambda: not said("ClusterIP"), "what keeps to the rule is refused")
    settle_until_deployed(project)
    gone(admin_api, row, cluster, given)
