"""Tests of monitors.quality."""
