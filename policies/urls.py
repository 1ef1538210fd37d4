"""Paths of the pages of policies."""

from django.urls import path

from policies import attaching, celrules, findings, simulations, views

_SET = "policies/<slug:policyset>"
_RULE = "celrules/<slug:name>"
_ATTACHMENT = f"{_SET}/attachments/<slug:attachment>"

urlpatterns = [
    path("policies", views.policies, name="policies"),
    path("policies-list", views.policies_fragment, name="policies-list"),
    path("policies-catalogue", views.catalogue, name="policy-catalogue"),
    path("new-policy", views.policy_new, name="policy-new"),
    path("celrules", celrules.celrules, name="celrules"),
    path("new-celrule", celrules.celrule_new, name="celrule-new"),
    path(_RULE, celrules.celrule, name="celrule"),
    path(f"{_RULE}/edit", celrules.celrule_edit, name="celrule-edit"),
    path(f"{_RULE}/publish", celrules.celrule_send, name="celrule-send"),
    path(f"{_RULE}/delete", celrules.celrule_delete, name="celrule-delete"),
    path(_SET, views.policy, name="policy"),
    path(f"{_SET}/state", views.policy_fragment, name="policy-state"),
    path(f"{_SET}/edit", views.policy_edit, name="policy-edit"),
    path(f"{_SET}/delete", views.policy_delete, name="policy-delete"),
    path(f"{_SET}/versions", views.policy_versions, name="policy-versions"),
    path(f"{_SET}/versions/<int:number>", views.policy_version, name="policy-version"),
    path(f"{_SET}/simulations", simulations.simulations, name="policy-simulations"),
    path(f"{_SET}/simulations/<uuid:uid>", simulations.simulation, name="policy-simulation"),
    path(
        f"{_SET}/simulations/<uuid:uid>/state",
        simulations.simulation_fragment,
        name="policy-simulation-state",
    ),
    path(f"{_SET}/findings", findings.policy_findings, name="policy-findings"),
    path("findings", findings.findings, name="findings"),
    path(f"{_SET}/attach", attaching.attach, name="policy-attach"),
    path(f"{_ATTACHMENT}/edit", attaching.attachment_edit, name="policy-attachment-edit"),
    path(f"{_ATTACHMENT}/promote", attaching.promote, name="policy-promote"),
    path(f"{_ATTACHMENT}/detach", attaching.detach, name="policy-detach"),
    path(f"{_ATTACHMENT}/exception", attaching.make_exception, name="policy-exception"),
    path(
        f"{_ATTACHMENT}/exceptions/<uuid:uid>/end",
        attaching.end_exception,
        name="policy-exception-end",
    ),
    path("tenants/<slug:tenant>/policies", views.tenant_policies, name="tenant-policies"),
    path(
        "tenants/<slug:tenant>/projects/<slug:project>/policies",
        views.project_policies,
        name="project-policies",
    ),
]
