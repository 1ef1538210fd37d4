"""What the tests of clusters share."""

from tests.fleet import fleet

__all__ = ["fleet"]
