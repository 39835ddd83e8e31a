"""Why an alarm was raised: a sample of rows, what drift did to the score, and where."""
