"""Tests of the demo's data, models, traffic and story."""
