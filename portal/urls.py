"""Every path of the portal."""

from django.urls import URLPattern, URLResolver, include, path

from portal import (
    activity,
    clusters,
    deciding,
    drift,
    guards,
    home,
    places,
    ruling,
    search,
    sign_in,
)
from tenancy.drift import Act

_FINDING = "clusters/<slug:name>/findings/<slug:code>"
_PROJECT = "tenants/<slug:tenant>/projects/<slug:project>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("home-state", home.home_fragment, name="home-state"),
    path("login", sign_in.SignIn.as_view(), name="sign-in"),
    path("logout", sign_in.SignOut.as_view(), name="sign-out"),
    path("activity", activity.activity, name="activity"),
    path("events/<str:correlation_id>", activity.timeline, name="timeline"),
    path("objects/<slug:kind>/<uuid:uid>", activity.shown, name="object"),
    path("objects/<slug:kind>/<uuid:uid>/leave", ruling.leave, name="drift-rule"),
    path("drift", drift.drift, name="drift"),
    path("drift-state", drift.drift_fragment, name="drift-state"),
    *(
        path(f"drift/{act}", deciding.decide, {"act": act.value}, name=f"drift-{act}")
        for act in Act
    ),
    path("decisions/<uuid:uid>/revoke", deciding.revoke, name="decision-revoke"),
    path("search", search.search, name="search"),
    path("clusters", places.clusters, name="clusters"),
    path("clusters-list", places.clusters_fragment, name="clusters-list"),
    path("clusters/<slug:name>", clusters.cluster, name="cluster"),
    path("clusters/<slug:name>/state", clusters.cluster_fragment, name="cluster-state"),
    path("clusters/<slug:name>/confirm", guards.confirm, name="cluster-confirm"),
    path(_FINDING, clusters.accept, name="cluster-accept"),
    path(f"{_FINDING}/revoke", clusters.revoke, name="cluster-revoke"),
    path(
        "clusters/<slug:name>/bootstrap/<slug:step>", clusters.bootstrap, name="cluster-bootstrap"
    ),
    path(_PROJECT, places.project, name="project"),
    path(f"{_PROJECT}/state", places.project_fragment, name="project-state"),
    path("", include("tenancy.urls")),
    path("", include("delivery.urls")),
    path("", include("access.urls")),
    path("", include("policies.urls")),
]
