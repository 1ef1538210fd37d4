"""The API of policy sets."""
