"""Measurements on real data; each writes one JSON file into ``benchmarks/results``."""
