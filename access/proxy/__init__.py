"""The access proxy: the only door of people to clusters. It authenticates, filters and records."""
