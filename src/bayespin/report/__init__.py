"""One run folder to figures, one self-contained HTML page and a table for the terminal.

`page` writes the page, `table` the terminal's rows; `figures` draws on matplotlib axes that the
caller owns, `reference` holds the paper's numbers.
"""
