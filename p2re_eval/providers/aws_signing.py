"""Amazon's credentials and signatures, by botocore: the extra ``bedrock``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2re_eval.errors import ProviderNotInstalled

if TYPE_CHECKING:
    from botocore.credentials import Credentials

SIGNING_NAME = "bedrock"
NOT_INSTALLED = (
    "signing with AWS credentials needs botocore; pip install 'p2re-eval[bedrock]', or set "
    "AWS_BEARER_TOKEN_BEDROCK to a Bedrock API key"
)


class Unsignable(Exception):
    """The credentials cannot be used any more; the message names botocore's error."""


def require_botocore() -> None:
    """Raises ProviderNotInstalled, naming the extra, where botocore is absent."""
    try:
        import botocore.auth  # noqa: F401
    except ImportError:
        raise ProviderNotInstalled(NOT_INSTALLED, provider="bedrock") from None


def find_credentials() -> Credentials | None:
    """What botocore's own chain finds: variables, profiles, SSO, roles, the instance.

    It may read files and ask the instance's metadata service, so call it in a thread.
    """
    from botocore.session import Session

    return Session().get_credentials()


def signed_headers(
    credentials: Credentials, *, region: str, url: str, headers: dict[str, str], body: bytes
) -> dict[str, str]:
    """The headers with Amazon's signature (version 4) of this POST.

    It may refresh expired credentials over the network, so call it in a thread. Raises Unsignable.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError, ClientError

    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    try:
        frozen = credentials.get_frozen_credentials()
        SigV4Auth(frozen, SIGNING_NAME, region).add_auth(request)
    except (BotoCoreError, ClientError) as error:
        raise Unsignable(type(error).__name__) from error
    return {name: str(value) for name, value in request.headers.items()}
