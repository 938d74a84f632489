"""Where Azure serves a deployment: under its own path with an api-version, or in the v1 form."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

_OF_V1 = frozenset({"v1", "preview", "latest"})


def azure_base_url(endpoint: str, deployment: str, version: str) -> str:
    """The base URL of one deployment.

    ``endpoint`` is the resource's address, or a base URL that already says the form; a dated
    ``version`` asks for the deployment's own path, none (or ``preview``) for the v1 form, which
    takes the deployment as the model. A version in the address wins over ``version``.
    """
    parts = urlsplit(endpoint.strip())
    query = dict(parse_qsl(parts.query))
    version = query.get("api-version", version)
    path = parts.path.rstrip("/").removesuffix("/openai")
    by_deployment = "/deployments/" in path
    if not by_deployment and not path.endswith("/v1"):
        by_deployment = bool(version and deployment and version not in _OF_V1)
        path += f"/openai/deployments/{quote(deployment)}" if by_deployment else "/openai/v1"
    if version and (by_deployment or version in _OF_V1):
        query["api-version"] = version
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))
