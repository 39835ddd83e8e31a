"""Rollouts: policy, evidence, state machine, and what is said of them; no Ray, no HTTP."""
