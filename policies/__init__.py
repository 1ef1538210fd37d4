"""Policies: sets of rules that operators attach to tenants and projects."""
