"""Pages that span domains, and what all pages look like."""
