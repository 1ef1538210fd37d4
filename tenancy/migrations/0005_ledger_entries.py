"""Begin the ledger with what clusters were told until now: a part of the total on each."""

from fractions import Fraction

from django.db import migrations
from django.db.models.functions import Now

from tenancy.rules.quantities import parse, unit_of, write


def begin(apps, schema_editor):
    """Hold what each cluster was told; the next step of the tenant divides it anew."""
    entries = apps.get_model("tenancy", "QuotaEntry")
    tenants = apps.get_model("tenancy", "Tenant").objects.exclude(quota={})
    for tenant in tenants:
        projects = list(tenant.projects.order_by("name").prefetch_related("placements"))
        rows = []
        for index, project in enumerate(projects):
            for resource, text in tenant.quota.items():
                part = _part(resource, text, index, len(projects))
                rows += [
                    entries(
                        tenant=tenant,
                        project=project,
                        cluster_id=placement.cluster_id,
                        resource=resource,
                        target=part,
                        granted=part,
                        held=part,
                    )
                    for placement in project.placements.all()
                ]
        entries.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    work = apps.get_model("reconcile", "Work").objects.filter(kind="tenancy.tenant")
    work.filter(object_id__in=list(tenants.values_list("pk", flat=True))).update(due_at=Now())


def _part(resource: str, text: str, index: int, count: int) -> str:
    """The even part of a project on every cluster, as it was before there was a ledger."""
    if count == 1:
        return text
    unit: Fraction = unit_of(resource)
    each, rest = divmod(parse(text) // unit, count)
    return write((each + (1 if index < rest else 0)) * unit, resource)


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0004_chosen_adapter"), ("reconcile", "0006_drift_repairs")]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop, elidable=True)]
