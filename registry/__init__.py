"""Models, versions, routes and the audit log: what is known, and who said so."""
