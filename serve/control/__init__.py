"""Control: the API that changes what is served, and the actor that owns the registry."""
