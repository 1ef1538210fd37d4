"""The root of `/api/v1/`. Each domain adds its own paths; the last one answers all that is left."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from kubenova.api import errors, problems, schema

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/schema", schema.DocumentView.as_view(), name="schema"),
    path("v1/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("v1/problems", problems.ProblemsView.as_view(), name="problems"),
    path("v1/problems/<slug:code>", problems.ProblemView.as_view(), name="problem"),
    path("v1/", include("access.api.urls")),
    path("v1/", include("clusters.api.urls")),
    path("v1/", include("tenancy.api.urls")),
    path("v1/", include("delivery.api.urls")),
    path("v1/", include("policies.api.urls")),
    re_path("", errors.NothingHere.as_view()),
]
