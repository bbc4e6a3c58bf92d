"""Pages, figures and tables of regression studies."""
