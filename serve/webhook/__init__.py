"""Telling others what has happened: signed, at least once, in order; no Ray."""
