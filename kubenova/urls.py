"""Every URL of the product."""

from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from access.api.tokens import KeySetView

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/", include("kubenova.api.urls")),
    path(".well-known/jwks.json", KeySetView.as_view(schema=None), name="well-known-jwks"),
    path("", include("portal.urls")),
]

handler400 = "kubenova.api.errors.bad_request"
handler403 = "kubenova.api.errors.permission_denied"
handler404 = "kubenova.api.errors.not_found"
handler500 = "kubenova.api.errors.server_error"
