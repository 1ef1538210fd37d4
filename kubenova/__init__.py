"""Wiring of the product: settings, URLs, logging, metrics and tracing."""
