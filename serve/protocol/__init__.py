"""The Open Inference Protocol v2: bytes and messages to tensors and back, without any I/O."""
