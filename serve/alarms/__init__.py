"""Alarms: learnt of from the monitors, changed by people, delivered to whoever is to know."""
