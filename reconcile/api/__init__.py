"""What the API of every kind of object is built from."""
