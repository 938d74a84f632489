"""The only retry layer: what to try again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from p2re_eval.errors import MalformedResponse, ProviderError, ProviderTimeout


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter, bounded by attempts and by the run's time.

    A service's Retry-After wins over the computed delay. Nothing is retried that cannot succeed;
    an unreadable body and a call that took too long are tried once more, as a third rarely helps.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    attempts: int = 5
    first_delay_s: float = 0.5
    longest_delay_s: float = 60.0
    random: random.Random = field(default_factory=random.Random, compare=False)

    def delay_s(self, error: ProviderError, attempt: int) -> float | None:
        """Seconds until the next attempt, ``None`` to give up; ``attempt`` counts from 1."""
        once_more = isinstance(error, (MalformedResponse, ProviderTimeout))
        most = min(2, self.attempts) if once_more else self.attempts
        if not error.retryable or attempt >= most:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s
        ceiling = min(self.longest_delay_s, self.first_delay_s * 2.0 ** (attempt - 1))
        return self.random.uniform(ceiling / 2, ceiling)
