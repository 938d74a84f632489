"""Vertex AI: where a project's Gemini models are served, and the token that goes there."""

from __future__ import annotations

import os
from dataclasses import replace
from urllib.parse import quote

from p2re_eval.providers.services import Service

PROJECT_NAME = "GOOGLE_CLOUD_PROJECT"
LOCATION_NAME = "GOOGLE_CLOUD_LOCATION"
VERTEX = Service(
    "vertex",
    "",
    ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"),
    "GOOGLE_VERTEX_BASE_URL",
    note=f"needs {PROJECT_NAME}; {LOCATION_NAME} is global unless set",
)


def vertex_service() -> Service:
    """The row with the address of the project and location that the environment names.

    Source: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
    """
    project = quote(os.environ.get(PROJECT_NAME, "").strip(), safe=":")
    if not project:
        return VERTEX
    location = quote(os.environ.get(LOCATION_NAME, "").strip(), safe="") or "global"
    region = "" if location == "global" else f"{location}-"
    return replace(
        VERTEX,
        base_url=f"https://{region}aiplatform.googleapis.com/v1beta1/projects/{project}"
        f"/locations/{location}/publishers/google",
    )
