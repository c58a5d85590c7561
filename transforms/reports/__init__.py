"""One HTML kit for all reports: escaped text, tables, plots and the page that holds them."""
