"""What pages that write have in common: declare a form's row, or ask for a deletion."""

from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django_htmx.http import reselect, retarget

from reconcile.models.declared import Declared
from reconcile.pages.finding import PageRequest, sent
from reconcile.pages.forms import ConfirmNameForm, DeclaredForm
from reconcile.refusals import Refusal
from reconcile.values import JSON

PREVIEW = "preview"
_LISTED = 20


def declared(request: PageRequest, form: DeclaredForm) -> bool:
    """Declare the row of a form that was sent, and say so; False: show the form (again).

    Who asks for a preview gets the plan with the form, and nothing is declared.
    """
    created = form.instance.pk is None
    if PREVIEW in request.POST:
        if form.is_valid():
            form.preview()
        return False
    if not (form.is_valid() and form.declare()):
        return False
    said = "was created" if created else "was changed"
    messages.success(request, f"{form.instance} {said}." if form.changed else "Nothing changed.")
    return True


def show_form(
    request: PageRequest, template: str, form: BaseForm, context: JSON | None = None
) -> HttpResponse:
    """Show a form: with 422 when what was sent is wrong.

    A preview is a fragment for htmx; where there can be none, the form that says why.
    """
    wrong = form.is_bound and not form.is_valid()
    fetched = bool(request.htmx) and PREVIEW in request.POST
    if fetched and not wrong:
        return render(request, "forms/_plan.html", {"form": form})
    status = 422 if wrong and not fetched else 200
    page = render(request, template, {"form": form, **(context or {})}, status=status)
    return reselect(retarget(page, "#main"), "#main") if fetched else page


def delete(
    request: PageRequest,
    row: Declared,
    name: str,
    *,
    up: str,
    done: str,
    shown: JSON | None = None,
) -> HttpResponse:
    """Ask for the name of `row`, then for its deletion; show what goes with it.

    `up` is the page to go back to, `done` where it goes on afterwards, `shown` what the page tells
    besides.
    """
    form = ConfirmNameForm(sent(request), expected=name)
    if form.is_valid() and _deleting(request, row, form):
        return redirect(done)
    inside = sorted(str(each) for each in row.dependents())
    more = max(0, len(inside) - _LISTED)
    context = {"row": row, "name": name, "up": up, "inside": inside[:_LISTED], "more": more}
    return show_form(request, "delete.html", form, {**context, **(shown or {})})


def _deleting(request: PageRequest, row: Declared, form: ConfirmNameForm) -> bool:
    """Ask for the deletion; False when that was refused, which the form tells then."""
    try:
        row.request_deletion(by=request.user.get_username())
    except Refusal as refusal:
        form.add_error(None, refusal.detail)
        return False
    messages.success(request, f"{row} is being deleted.")
    return True
