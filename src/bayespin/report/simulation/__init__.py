"""One run folder of `bayespin simulate` to figures, animations, a page and a table.

`figures` and `magnetisation` draw from xarray datasets on axes that the caller owns, for notebooks
as well; `macrospins`, `films` and `walls` say what each kind of simulation shows; `page` writes it
all, `table` makes the terminal's rows.
"""
