"""The catalog: files, columns, values and rows, each problem reported."""
