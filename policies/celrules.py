"""Pages of rules in CEL, for operators: strangers get 404."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from clusters.intents import SYSTEM_NAMESPACE
from clusters.models.bundling import Asked
from clusters.models.carrying import Carrying
from clusters.publishing_pages import (
    fares,
    find_operator,
    listed,
    publish_form,
    was_kept,
    was_let_go,
    was_sent,
)
from policies.celrules_form import CelRuleForm
from policies.models import CelRule
from policies.models.compiling import refuse_uncompiled
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.forms import ConfirmNameForm
from reconcile.pages.writing import show_form

_ASK = require_http_methods(["GET", "HEAD", "POST"])


def _found(request: PageRequest, name: str) -> CelRule:
    rows = CelRule.objects.prefetch_related(*CelRule.shown())
    found: CelRule = find(rows, request, name=name)
    find_operator(request)
    return found


@require_safe
@page
def celrules(request: PageRequest) -> HttpResponse:
    """All of them, each with the clusters that it is on."""
    return render(request, "policies/celrules.html", listed(request, CelRule))


@require_safe
@page
def celrule(request: PageRequest, name: str) -> HttpResponse:
    """One: what it says, where it is, and who names it."""
    row = _found(request, name)
    context = {"published": row, "fares": fares(row), "users": list(row.used_by())}
    return render(request, "policies/celrule.html", context)


@_ASK
@page
def celrule_new(request: PageRequest) -> HttpResponse:
    """A form for a new one."""
    find_operator(request)
    form = CelRuleForm(sent(request))
    if form.is_valid() and _kept(request, form):
        return redirect("celrule", form.instance.name)
    return show_form(request, "policies/celrule_form.html", form, {"noun": "rule"})


@_ASK
@page
def celrule_edit(request: PageRequest, name: str) -> HttpResponse:
    """A form for what it says from now on; clusters get that when it is published anew."""
    row = _found(request, name)
    form = CelRuleForm(sent(request), instance=row)
    if form.is_valid() and _kept(request, form):
        return redirect("celrule", name)
    return show_form(request, "policies/celrule_form.html", form, {"published": row})


def _kept(request: PageRequest, form: CelRuleForm) -> bool:
    values = {key: form.cleaned_data[key] for key in form.fields if key != "name"}
    key, by = {"name": form.instance.name}, request.user.get_username()
    return was_kept(request, form, lambda: CelRule.keep(key, values, by=by))


@_ASK
@page
def celrule_send(request: PageRequest, name: str) -> HttpResponse:
    """Have it put into force on a cluster, or taken off there; or see first what that would do."""
    row = _found(request, name)
    form = publish_form(request, row, sent(request))
    if form.is_valid() and was_sent(request, form, row, lambda asked: _carrying(row, asked)):
        return redirect("celrule", name)
    context = {"published": row, "back": reverse("celrule", args=[name])}
    return show_form(request, "policies/celrule_send.html", form, context)


def _carrying(row: CelRule, asked: Asked) -> Carrying:
    found = Carrying.of([row], asked, SYSTEM_NAMESPACE)
    refuse_uncompiled(found)
    return found


@_ASK
@page
def celrule_delete(request: PageRequest, name: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = _found(request, name)
    form = ConfirmNameForm(sent(request), expected=name)
    gone = was_let_go(request, form, row)
    if gone is not None:
        return redirect("celrules") if gone else redirect("celrule", name)
    context = {"published": row, "fares": fares(row), "back": reverse("celrule", args=[name])}
    return show_form(request, "policies/celrule_delete.html", form, context)
