"""WHAT: apps, their revisions and rollouts."""
