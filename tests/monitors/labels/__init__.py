"""Tests of monitors.labels."""
