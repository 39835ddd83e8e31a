"""What a real gateway does, seen from outside: processes, ports, files, answers and signals."""
