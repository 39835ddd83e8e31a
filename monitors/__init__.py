"""What is watched: blocks of records in, signals with a verdict out."""
