"""Every exception of the package.

P2REError
├── DefinitionError            a mistake in a file: FILE:LINE:COLUMN: what; what to do
│   ├── SyntaxMistake          YAML or Jinja that cannot be read
│   ├── DuplicateKey           the same key, case id or name twice
│   ├── UnknownName            a key, input, filter, scorer, option ... nobody declared
│   ├── WrongType              a value of the wrong shape
│   ├── MissingValue           something required is absent
│   ├── MissingFile            a dataset, partial or image that is not there
│   └── OutsideFolder          a path that leaves the folder it must stay in
├── DefinitionErrors           several of the above, from one or many files
├── RenderError                a template that fails on these inputs
├── ProviderError              a model call that gave no answer
│   ├── AuthenticationFailed   401: the key is missing or wrong
│   ├── PermissionDenied       403
│   ├── NotFound               404: no such model or address
│   ├── InvalidRequest         400, 422
│   │   ├── ContextTooLong     the prompt does not fit the model's context
│   │   ├── ContentFiltered    the service refused the content
│   │   └── Unsupported        the provider cannot do what the prompt asks; said before the call
│   ├── QuotaExhausted         429 that waiting does not cure
│   ├── RateLimited            429                                            (retried)
│   ├── Overloaded             503, 529                                       (retried)
│   ├── ServerFault            other 5xx                                      (retried)
│   ├── ProviderTimeout        no answer within timeout_s                     (retried)
│   ├── ConnectionFailed       refused, reset (retried); DNS, TLS (not retried)
│   ├── MalformedResponse      the body is not what the service promises   (retried once)
│   ├── TruncatedResponse      a stream or body that ended early; keeps what arrived   (retried)
│   ├── FunctionFailed         the user's own callable raised
│   └── NotRecorded            replay: this run has no recording
├── NotRun                     the run was never started: the session was stopped, or
│   ├── OverBudget             it might have cost more than was left
│   └── DecidedEarly           its case's verdict could not change any more
├── ScorerError                a scorer or judge broke; never a verdict on the prompt
├── StoreError                 the database
│   ├── StoreLocked · StoreFull · StoreReadOnly · NotADatabase · NewerSchema · StoreCorrupt
│   └── NoSuchRecord           nothing has this id
├── BridgeError                another system could not be synced with
│   ├── Unreachable            refused, reset or too slow; the next sync goes on where this stopped
│   └── Refused                it answered no: a wrong key, a wrong address
├── MalformedSpans             what should be OTLP is something else
├── NoBaseline                 nothing to compare an experiment with
├── GitError                   git is absent, or does not know the revision
├── PluginError                two plug-ins claim a name, or a scorer's signature cannot work
├── MissingExtra               an optional dependency is not installed
└── UsageError                 an option or argument that cannot work
    └── NotAllowed             what the record never does, such as changing a prompt version
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class P2REError(Exception):
    """The root: ``except P2REError`` catches everything this package raises on purpose."""


class DefinitionError(P2REError):
    """A mistake in a file that the user wrote; ``line`` and ``column`` count from 1; 0: unknown.

    ``option`` names the key of the entry that is to blame, where it is known.
    """

    def __init__(
        self,
        what: str,
        *,
        path: Path | str | None = None,
        line: int = 0,
        column: int = 0,
        option: str | None = None,
    ) -> None:
        super().__init__(what)
        self.option = option
        self.what = what
        self.path = None if path is None else Path(path)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if self.path is None:
            return self.what
        place = [str(self.path), *(str(n) for n in (self.line, self.column) if n)]
        return f"{':'.join(place)}: {self.what}"


class SyntaxMistake(DefinitionError):
    """YAML or Jinja that cannot be read."""


class DuplicateKey(DefinitionError):
    """The same key, case id or name is given twice."""


class UnknownName(DefinitionError):
    """A key, input, filter, scorer, option, prompt or provider that nobody declared."""


class WrongType(DefinitionError):
    """A value of the wrong shape."""


class MissingValue(DefinitionError):
    """Something required is absent."""


class MissingFile(DefinitionError):
    """A dataset, partial or image that is not there."""


class OutsideFolder(DefinitionError):
    """A path that leaves the folder it must stay in."""


class DefinitionErrors(P2REError):
    """Several definition errors together; ``errors`` holds them in file and line order."""

    def __init__(self, errors: Sequence[DefinitionError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class RenderError(P2REError):
    """A template failed on these inputs; ``prompt`` names the template."""

    def __init__(self, what: str, *, prompt: str) -> None:
        super().__init__(what)
        self.prompt = prompt


class ProviderError(P2REError):
    """A model call gave no answer.

    ``kind`` is the stable word kept in the database; ``retryable`` says whether the same call may
    succeed later; ``retry_after_s`` is the service's own hint in seconds; ``partial`` keeps what
    had arrived before a stream broke.
    """

    kind = "provider"
    retryable = False

    def __init__(
        self,
        what: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
        partial: str | None = None,
    ) -> None:
        super().__init__(what)
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after_s = retry_after_s
        self.partial = partial
        self.attempts = 1
        if retryable is not None:
            self.retryable = retryable


class AuthenticationFailed(ProviderError):
    """The key is missing or wrong."""

    kind = "authentication"


class PermissionDenied(ProviderError):
    """The key is right but may not do this."""

    kind = "permission"


class NotFound(ProviderError):
    """No such model or address."""

    kind = "not_found"


class InvalidRequest(ProviderError):
    """The service says the request itself is wrong."""

    kind = "invalid_request"


class ContextTooLong(InvalidRequest):
    """The prompt does not fit the model's context."""

    kind = "context_too_long"


class ContentFiltered(InvalidRequest):
    """The service refused the content."""

    kind = "content_filtered"


class Unsupported(InvalidRequest):
    """The provider cannot do what the prompt asks; said before any call."""

    kind = "unsupported"


class QuotaExhausted(ProviderError):
    """The account is out of money or quota: waiting does not help."""

    kind = "quota_exhausted"


class RateLimited(ProviderError):
    """Too many calls or tokens for now."""

    kind = "rate_limited"
    retryable = True


class Overloaded(ProviderError):
    """The service is up but full."""

    kind = "overloaded"
    retryable = True


class ServerFault(ProviderError):
    """The service broke."""

    kind = "server"
    retryable = True


class ProviderTimeout(ProviderError):
    """No answer within the attempt's time."""

    kind = "timeout"
    retryable = True


class ConnectionFailed(ProviderError):
    """The service could not be reached, or hung up before it answered."""

    kind = "connection"
    retryable = True


class MalformedResponse(ProviderError):
    """The body is not what the service promises."""

    kind = "malformed"
    retryable = True


class TruncatedResponse(ProviderError):
    """The answer ended early; ``partial`` keeps what arrived. Never a whole answer."""

    kind = "truncated"
    retryable = True


class FunctionFailed(ProviderError):
    """The user's own callable raised."""

    kind = "function"


class NotRecorded(ProviderError):
    """Replay mode, and this run has no recording."""

    kind = "not_recorded"


class NotRun(P2REError):
    """The run was never started; ``kind`` is the word that a recorded result keeps."""

    kind = "stopped"


class OverBudget(NotRun):
    """The call might have cost more than the budget has left, or nobody knows what it costs."""

    kind = "budget"


class DecidedEarly(NotRun):
    """The case's verdict is decided: no further repeat can change it."""

    kind = "early_stop"


class ScorerError(P2REError):
    """A scorer or judge broke: an evaluation with an error, never a score."""


class StoreError(P2REError):
    """The database could not do it; ``path`` names the file, ``kept_in`` the rescue file that
    holds what was to be written, if there is one."""

    def __init__(
        self, what: str, *, path: Path | str | None = None, kept_in: Path | None = None
    ) -> None:
        super().__init__(what)
        self.path = None if path is None else Path(path)
        self.kept_in = kept_in


class StoreLocked(StoreError):
    """Another program held the write lock for too long."""


class StoreFull(StoreError):
    """The disk is full."""


class StoreReadOnly(StoreError):
    """The file or its folder may not be written."""


class NotADatabase(StoreError):
    """The file is something else, or another program's database."""


class NewerSchema(StoreError):
    """The file was written by a newer p2re_eval."""


class StoreCorrupt(StoreError):
    """SQLite finds the file damaged."""


class NoSuchRecord(StoreError):
    """Nothing in the database has this id."""


class BridgeError(P2REError):
    """Another system could not be synced with; ``address`` names it."""

    def __init__(self, what: str, *, address: str = "", status: int | None = None) -> None:
        super().__init__(what)
        self.address = address
        self.status = status


class Unreachable(BridgeError):
    """Refused, reset or too slow, after all retries: the next sync goes on where this stopped."""


class Refused(BridgeError):
    """It answered no: ``status`` says how."""

    @property
    def is_about_content(self) -> bool:
        """Whether it was what was sent, and not who sent it, where to or when: a smaller request
        may pass."""
        return self.status in (400, 413, 422)


class MalformedSpans(P2REError):
    """What should be OTLP is something else."""


class NoBaseline(P2REError):
    """There is no experiment or file to compare with."""


class GitError(P2REError):
    """git is absent, this is no repository, or it does not know the revision."""


class PluginError(P2REError):
    """Two plug-ins claim one name, or a scorer's signature cannot work."""


class MissingExtra(P2REError):
    """An optional dependency is not installed; the message names the extra to install."""


class ProviderNotInstalled(Unsupported, MissingExtra):
    """A provider's optional dependency is not installed: one run's error, said before the call."""


class UsageError(P2REError):
    """An option or argument that cannot work."""


class NotAllowed(UsageError):
    """What the record never does, whoever asks: the sentence says what to do instead."""
