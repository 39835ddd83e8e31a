"""Tests of serve/models."""
