"""One node: the supervisor, the sockets it holds, the driver that speaks to Ray."""
