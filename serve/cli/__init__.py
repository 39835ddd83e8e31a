"""The `weir` command: reads arguments, asks the control API, prints."""
