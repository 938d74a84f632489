"""Records other people's LLM calls: OpenInference and OpenTelemetry GenAI in, traces out."""
