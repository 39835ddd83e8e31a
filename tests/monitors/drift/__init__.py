"""Tests of monitors.drift."""
