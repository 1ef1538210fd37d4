"""WHERE: clusters, their capabilities and credentials, and the only Kubernetes client."""
