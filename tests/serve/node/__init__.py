"""Tests of serve/node."""
