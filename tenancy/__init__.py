"""WHO: tenants, projects, members and their roles."""
