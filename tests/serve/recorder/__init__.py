"""Tests of serve/recorder."""
