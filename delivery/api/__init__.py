"""The API of apps, their rollouts and revisions."""
