"""Columns of files as they are: text files, Parquet."""
