"""Tide gauges for Sterna: one module for each thing that an entry point of pyproject.toml names."""
