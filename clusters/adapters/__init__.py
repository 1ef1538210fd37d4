"""What KubeNova puts on a cluster for itself."""
