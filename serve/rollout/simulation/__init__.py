"""Rollouts over generated or recorded traffic: what a policy would do, and how often it errs."""
