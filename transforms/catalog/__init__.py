"""Reading catalogs: files, columns, values, rows and their problems."""
