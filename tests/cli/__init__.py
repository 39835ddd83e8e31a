"""Tests of the `weir` command."""
