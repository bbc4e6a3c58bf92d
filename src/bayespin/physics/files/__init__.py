"""Snapshots and recorded ensembles as files that other tools read."""
