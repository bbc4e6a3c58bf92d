"""Simulations: ensembles of macrospins, films and domain walls, from a TOML file to a run folder.

`schema` says what a file holds, `ensembles` builds the physics of it, `statistics` makes numbers of
what was recorded, `run` does all of it step by step.
"""
