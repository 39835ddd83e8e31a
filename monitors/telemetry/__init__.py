"""The one registry of signal names, and everything that is generated from it."""
