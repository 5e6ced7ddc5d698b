"""The one place that names the versions this stand-in serves; pyproject.toml pins the SDKs to the same."""

PULUMI = "3.259.0"
PULUMI_GCP = "10.2.0"
