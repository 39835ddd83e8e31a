"""Tests of what is done about alarms."""
