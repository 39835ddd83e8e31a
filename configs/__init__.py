"""The typed, frozen configuration, the YAML that ships, and the errors that users meet."""
