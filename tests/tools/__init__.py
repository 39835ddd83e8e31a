"""Real receivers and servers that tests talk to."""
