"""The reader of text tables: CSV, TSV and their relatives, as spreadsheets and databases write them."""
