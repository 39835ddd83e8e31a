"""The real clients against a running gateway."""
