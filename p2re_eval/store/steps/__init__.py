"""Steps after the first, one file each: what they add to the tables and why."""
