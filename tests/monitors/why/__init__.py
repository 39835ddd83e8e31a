"""Tests of monitors.why."""
