"""Ways to reach models, one file each; nothing here is imported before a session needs it."""
