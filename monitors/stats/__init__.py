"""The statistics of the monitors: mathematics only."""
