"""Fairness: whether groups are treated alike."""
