"""Models: the session, the frames between gateway and version, the batcher, the link, the host."""
