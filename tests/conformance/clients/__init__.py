"""One program for each client; each runs in an environment of its own."""
