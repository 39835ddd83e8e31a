"""A story on real data: mortgage decisions, two models, real traffic, on this machine."""
