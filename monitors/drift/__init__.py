"""Drift: whether inputs, scores or decisions have moved away from the reference."""
