"""The truth that comes late: labels, and the predictions that wait for them."""
