"""What each feature of a row adds to its score, beside rows that are drawn from the reference."""
