"""Studies of regression: tables with published splits and a toy, in software and on the chip.

`schema` says what a study is, `run` carries it out, `scores` judges one prediction.
"""
