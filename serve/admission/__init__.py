"""How many requests a model may have in flight, so that those it takes are answered."""
