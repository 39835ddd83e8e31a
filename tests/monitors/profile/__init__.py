"""Tests of monitors.profile."""
