"""Tests of serve/control."""
