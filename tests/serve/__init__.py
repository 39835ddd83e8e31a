"""Tests of the gateway's rooms."""
