"""How a table fits a terminal."""
