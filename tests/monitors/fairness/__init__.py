"""Tests of monitors.fairness."""
