"""The reference that a version carries: what its inputs, scores and groups looked like."""
