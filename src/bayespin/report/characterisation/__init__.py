"""One run folder of `bayespin characterize` to figures, a page and a table.

`figures` draws on axes that the caller owns, for notebooks as well; `pillar` and `track` say what
each kind shows; `page` writes it all, `table` makes the terminal's rows.
"""
