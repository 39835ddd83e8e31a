"""Loads, slow clients and hostile bytes: minutes, and so apart from the other tests."""
