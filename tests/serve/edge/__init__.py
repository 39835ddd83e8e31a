"""Tests of serve/edge."""
