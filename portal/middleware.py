"""What a browser may load and run, page by page (Content Security Policy, level 3)."""

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"

# Pictures of the style sheet (ticks, arrows) are data; nothing else comes from anywhere but here.
_STRICT = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# The admin's own scripts evaluate the expressions in its markup, and it sets styles in there.
_ADMIN = _STRICT | {
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
}
# The page of the API's documentation adds styles as it goes.
_DOCS = _STRICT | {"style-src": "'self' 'unsafe-inline'"}


class ContentSecurityPolicy:
    """Sends every answer with the policy of its part of the product."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, with a policy unless the view has set one."""
        response = self.get_response(request)
        response.headers.setdefault(HEADER, policy_of(request.path))
        return response


def policy_of(path: str) -> str:
    """Return the policy for a path."""
    if path.startswith("/admin/"):
        return _written(_ADMIN)
    return _written(_DOCS if path == "/api/v1/docs" else _STRICT)


def _written(policy: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())
