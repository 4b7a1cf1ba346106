"""The Grafana dashboard and the alert rules for the exporter's metrics."""
