"""OTLP, the wire form of OpenTelemetry: raw spans as protobuf or JSON, and back."""
