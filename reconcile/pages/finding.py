"""Who may see and do what on a page: find and authorise, the first line of every view."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

Found = TypeVar("Found", bound=Model)
Given = ParamSpec("Given")
Visitor = User | AnonymousUser


class PageRequest(HttpRequest):
    """The request of somebody who has signed in."""

    user: User
    htmx: HtmxDetails


class Permitting(Protocol):
    """A row that knows who may do what with it."""

    @property
    def deleting(self) -> bool:
        """Whether it is on its way out."""

    def may(self, user: Visitor, action: str) -> bool:
        """Whether a user who sees the row may do this."""


def page(
    view: Callable[Concatenate[PageRequest, Given], HttpResponse],
) -> Callable[Concatenate[HttpRequest, Given], HttpResponseBase]:
    """Let in who has signed in, and keep the answer out of caches: it belongs to one person.

    A fragment whose session ended sends the whole page to the sign-in.
    """

    @wraps(view)
    def shown(
        request: HttpRequest, /, *args: Given.args, **kwargs: Given.kwargs
    ) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        response = view(request, *args, **kwargs)  # type: ignore[arg-type]
        response.headers.setdefault("Cache-Control", "private, no-store")
        patch_vary_headers(response, ("Cookie", "HX-Request"))
        return response

    return shown


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    details: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    if details:
        target = urlencode({"next": details.current_url_abs_path or "/"})
        return HttpResponseClientRedirect(f"{reverse('sign-in')}?{target}")
    return redirect_to_login(request.get_full_path())


def find(
    rows: "QuerySet[Found]", request: PageRequest, action: str = "view", /, **key: object
) -> Found:
    """Return the one row that the caller may see and do this with.

    `rows` offers `visible_to(user)`. Raises Http404 for what is missing or not to be seen,
    PermissionDenied for what the role does not allow.
    """
    visible: QuerySet[Found] = rows.visible_to(request.user)  # type: ignore[attr-defined]
    row = get_object_or_404(visible, **key)
    if action != "view" and not row.may(request.user, action):  # type: ignore[attr-defined]
        raise PermissionDenied
    return row


def sent(request: HttpRequest) -> QueryDict | None:
    """Return what a form has sent, None where it is only to be shown."""
    return request.POST if request.method == "POST" else None


def abilities(row: Permitting, user: Visitor, actions: Iterable[str]) -> dict[str, bool]:
    """Say what the user may do with a row, so that a page offers nothing else.

    Nothing, once the row is on its way out.
    """
    return {action: not row.deleting and row.may(user, action) for action in actions}
