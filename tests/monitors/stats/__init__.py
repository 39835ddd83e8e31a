"""Tests of monitors.stats."""
