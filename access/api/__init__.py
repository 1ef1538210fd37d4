"""The API of tokens and of oneself."""
