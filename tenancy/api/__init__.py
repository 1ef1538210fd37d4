"""The API of tenants, projects and members."""
