"""Tests of monitors.training."""
