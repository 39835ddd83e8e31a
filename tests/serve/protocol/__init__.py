"""The protocol: what bytes and messages mean, and what is refused."""
