"""What is done with a whole experiment: forecast it, narrow it, judge it anew, join its shards."""
