"""Paths of clusters below `/api/v1/`."""

from django.urls import path

from clusters.api.bootstrap import BootstrapView
from clusters.api.findings import AcceptFinding, FindingList, RevokeFinding
from clusters.api.orphans import OrphanList
from clusters.api.views import ClusterView

urlpatterns = [
    path("clusters", ClusterView.as_view({"get": "list", "post": "create"})),
    path(
        "clusters/<slug:name>",
        ClusterView.as_view(
            {
                "get": "retrieve",
                "put": "replace",
                "patch": "partial_update",
                "delete": "destroy",
            }
        ),
    ),
    path(
        "clusters/<slug:name>/credential",
        ClusterView.as_view({"put": "replace_credential"}),
    ),
    path("clusters/<slug:name>/capabilities", ClusterView.as_view({"get": "capabilities"})),
    path("clusters/<slug:name>/orphans", OrphanList.as_view()),
    path("clusters/<slug:name>/findings", FindingList.as_view()),
    path("clusters/<slug:name>/findings/<slug:code>:accept", AcceptFinding.as_view()),
    path("clusters/<slug:name>/findings/<slug:code>:revoke", RevokeFinding.as_view()),
    path("clusters/<slug:name>/bootstrap", BootstrapView.as_view({"get": "read"})),
    path("clusters/<slug:name>:bootstrap", BootstrapView.as_view({"post": "apply"})),
    path("clusters/<slug:name>:pause", ClusterView.as_view({"post": "pause"})),
    path("clusters/<slug:name>:resume", ClusterView.as_view({"post": "resume"})),
    path("clusters/<slug:name>:confirm", ClusterView.as_view({"post": "confirm"})),
    path("clusters/<slug:name>:reprobe", ClusterView.as_view({"post": "reprobe"})),
    path("clusters/<slug:name>:forget", ClusterView.as_view({"post": "forget"})),
]
