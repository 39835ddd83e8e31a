"""Tests of monitors/telemetry."""
