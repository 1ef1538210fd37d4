"""What the pages of every kind of object are built from."""
