"""The datasets, one a file: a pure function over tables, and a thin asset around it."""
