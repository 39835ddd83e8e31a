"""The recorder: what is kept of a request, and how it leaves without anybody waiting."""
