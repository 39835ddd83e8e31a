"""Performance: whether a model is still right, with its truth and before it comes."""
