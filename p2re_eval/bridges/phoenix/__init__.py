"""The bridge to Arize Phoenix: traces, annotations, prompts and experiments, both ways."""
