"""The kinds of rules that bind a tenant, their grammar, and how they are divided. Pure."""
