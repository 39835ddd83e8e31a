"""Quality: whether values arrive as the reference led us to expect."""
