"""The training log: features that may be kept, with their labels, as Parquet files."""
