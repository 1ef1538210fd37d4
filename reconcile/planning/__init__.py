"""Plans for people: what a declaration would do on every cluster, before it does it."""
