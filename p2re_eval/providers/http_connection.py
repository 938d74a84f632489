"""A connection that could not be made or broke: which of the many ways it was, in one sentence."""

from __future__ import annotations

import errno
import os
import ssl

import aiohttp

from p2re_eval.errors import (
    ConnectionFailed,
    InvalidRequest,
    MalformedResponse,
    ProviderError,
    TruncatedResponse,
)
from p2re_eval.providers.http_faults import Call


def broken_connection(call: Call, error: Exception) -> ProviderError:
    """The ProviderError for what aiohttp or the socket raised."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return _payload(call, error)
    if isinstance(error, aiohttp.InvalidURL):
        return call.fault(InvalidRequest, f"{call.url} is no usable address; correct base_url")
    if isinstance(error, (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError)):
        return _failed(call, f"the proxy for {call.host} refused ({error}); check HTTPS_PROXY")
    if isinstance(error, aiohttp.ClientResponseError):
        what = f"{call.host} does not speak HTTP ({_reason(error)}); check base_url"
        return call.fault(MalformedResponse, what)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        what = f"the name of {call.host} does not resolve; check base_url and the network"
        return _failed(call, what, retryable=False)
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        what = f"no trusted TLS connection to {call.host} ({_reason(error)}); check the certificate"
        return _failed(call, what + ", or whether the address is plain http", retryable=False)
    if isinstance(error, TimeoutError):
        return _failed(call, f"{call.host} does not accept connections; check that it runs")
    if isinstance(error, aiohttp.ClientConnectorError):
        what = f"no connection to {call.host} ({_reason(error)}); check that the server runs"
        return _failed(call, what)
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return _failed(call, f"{call.host} hung up before it answered; try again")
    return call.fault(InvalidRequest, f"the request cannot be sent ({error}); check the settings")


def _payload(call: Call, error: aiohttp.ClientPayloadError) -> ProviderError:
    if "decode" in str(error) or "encoding" in str(error):
        what = f"{call.host} sent a body that cannot be decompressed; try again"
        return call.fault(MalformedResponse, what)
    return call.fault(
        TruncatedResponse, f"{call.host} hung up in the middle of its answer; try again"
    )


def _failed(call: Call, what: str, *, retryable: bool | None = None) -> ProviderError:
    return call.fault(ConnectionFailed, what, retryable=retryable)


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, ssl.SSLError):
        text = getattr(cause, "verify_message", "")
        text = text or (cause.reason or "").replace("_", " ").lower()
    elif isinstance(cause, OSError) and cause.errno and cause.errno in errno.errorcode:
        text = os.strerror(cause.errno)  # asyncio's own text repeats the address instead
    else:
        text = getattr(cause, "strerror", None) or getattr(cause, "message", None)
    return " ".join(str(text or cause).split())[:200] or type(error).__name__
