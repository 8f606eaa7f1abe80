"""Scenarios: what happens to a federation, as data; two backends play them, one checker reads."""
