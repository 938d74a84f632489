"""The proof on recorded traffic: ``make wire FILES="one.jsonl two.jsonl"`` prints its table."""
