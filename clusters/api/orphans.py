"""What lies around on a cluster, over HTTP: read, never written."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.listed import OfCluster
from clusters.api.serializers import OrphanSerializer
from clusters.models import Orphan


class OrphanList(OfCluster):
    """Orphans of one cluster."""

    serializer_class = OrphanSerializer
    queryset = Orphan.objects.none()
    related = "orphans"

    @extend_schema(operation_id="cluster_orphans_list")
    def get(self, request: Request, name: str) -> Response:
        """List what carries KubeNova's label on a cluster and belongs to nothing known.

        It is never removed by itself. What was seen gone stays on the list for a while.
        """
        return self.listed(request, name)
