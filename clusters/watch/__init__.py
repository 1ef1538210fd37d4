"""The watch role: notices what changes on clusters and marks the rows that it concerns."""
