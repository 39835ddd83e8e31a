"""Business value: what predictions are worth to whoever asked for them."""
