"""The laws for grants."""

from datetime import timedelta

from django.utils import timezone

from access.intents import Verbs
from access.models import GrantPlacement, KubeconfigGrant
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle
from tests.people import make_acme, person
from tests.reconcile.laws import ConvergenceLaws

NAME = "grant-0123456789abcdef0123"


class TestGrantPlacement(ConvergenceLaws):
    model = GrantPlacement

    def declare(self) -> GrantPlacement:
        if not Tenant.objects.exists():
            tenant = make_acme(placement={"clusters": ["sandbox"]})
            Project(tenant=tenant, name="shop").declare(by="alice")
            Project(tenant=tenant, name="blog").declare(by="alice")
            settle()
        KubeconfigGrant(
            name=NAME,
            tenant=Tenant.objects.get(),
            subject=person("alice"),
            verbs=sorted(Verbs),
            clusters=["sandbox"],
            ttl_seconds=3600,
            expires_at=timezone.now() + timedelta(hours=1),
        ).declare(by="alice")
        return GrantPlacement.objects.get()

    def narrow(self, row) -> None:
        grant = KubeconfigGrant.objects.get()
        grant.verbs = ["view"]
        grant.declare(by="alice")

    def urls(self, row) -> list[str]:
        return [f"/api/v1/grants/{NAME}"]
