"""Asks for a name before a set or an attachment goes: whoever it binds is free then."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from policies.models import Attachment, PolicySet
from reconcile.pages.finding import PageRequest, sent
from reconcile.pages.forms import ConfirmNameForm
from reconcile.pages.writing import show_form


def ask_and_delete(
    request: PageRequest, row: PolicySet | Attachment, name: str, *, up: str, done: str
) -> HttpResponse:
    """Ask for the name of `row`, then for its deletion. `up` leads back, `done` goes on."""
    form = ConfirmNameForm(sent(request), expected=name)
    if form.is_valid():
        row.request_deletion(by=request.user.get_username())
        messages.success(request, f"{row} is being deleted.")
        return redirect(done)
    rows = [row] if isinstance(row, Attachment) else list(row.attachments.all())
    bound = {
        tenant
        for each in rows
        for tenant in each.impositions.values_list("tenant__name", flat=True)
    }
    context = {"row": row, "name": name, "up": up, "bound": sorted(bound)}
    return show_form(request, "policies/delete.html", form, context)
