"""Weir's figures beside those of other libraries, on the same rows."""
