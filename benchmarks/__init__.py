"""Measures Weir beside a plain server, on the same machine in the same run."""
