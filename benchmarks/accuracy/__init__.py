"""Weir's monitors beside those of four libraries, on the same streams."""
