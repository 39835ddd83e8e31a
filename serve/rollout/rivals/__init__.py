"""How other tools decide on a new version, as their documents say, to be compared with."""
