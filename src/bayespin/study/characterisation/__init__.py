"""Characterisations: devices swept through their settings, from a TOML file to a table.

`sections` and `schema` say what a file holds; `pillar` and `track` make physics of it and numbers
of what was found; `run` does all of it step by step.
"""
