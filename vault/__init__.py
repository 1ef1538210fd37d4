"""SEALED: envelope encryption of what KubeNova must keep secret."""
