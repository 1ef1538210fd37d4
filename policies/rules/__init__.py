"""What policy sets come to: pure, without a database."""
