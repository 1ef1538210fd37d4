"""DOOR: sign-in, tokens and the ways to a cluster."""
