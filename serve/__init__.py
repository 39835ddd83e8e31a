"""The gateway: edge, router, version hosts, recorder, control and the command line."""
