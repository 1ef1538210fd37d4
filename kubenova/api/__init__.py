"""The root of the API: its urls, its errors and its document."""
