"""Lists of what is known of one cluster, for whoever sees the cluster."""

from rest_framework.request import Request
from rest_framework.response import Response

from clusters.models import Cluster
from reconcile.api import lookup
from reconcile.api.pagination import ItemsPagination
from reconcile.api.views import ApiView


class OfCluster(ApiView):
    """`GET /clusters/{name}/…`: the rows that a cluster has under the name `related`."""

    pagination_class = ItemsPagination
    filter_backends = ()
    query_parameters = ("limit", "cursor")
    related: str

    def listed(self, request: Request, name: str) -> Response:
        """Return a page of them. Raises NotFound for a cluster that the caller does not see."""
        cluster: Cluster = lookup.only(lookup.visible(Cluster, self.user), name, {})
        page = self.paginate_queryset(getattr(cluster, self.related).all())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
