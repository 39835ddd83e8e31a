"""Drift: whether the inputs or the scores have moved away from the reference."""
