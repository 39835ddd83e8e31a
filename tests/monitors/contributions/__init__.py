"""Tests of monitors.contributions."""
