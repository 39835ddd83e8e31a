"""Tests of monitors.performance."""
