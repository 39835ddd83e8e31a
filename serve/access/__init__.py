"""Who may call: keys, roles, permissions and rates, without a clock or I/O."""
