"""The edge: listeners, the Open Inference Protocol, errors, limits and deadlines."""
