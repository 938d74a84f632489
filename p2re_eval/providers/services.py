"""The services that speak chat completions: where each lives, which key it takes, how it differs.

One row a service; :class:`~p2re_eval.providers.openai.OpenAIProvider` is configured by its row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    ``base_url`` is "" where only the environment knows it. ``key_names`` are the variables that may
    hold the key, the first that is set wins; ``own_hosts`` are further hosts of the same company,
    reached by https. ``renamed`` and ``left_out`` are the parameters of the request that the
    service calls otherwise or refuses; ``schemas`` says whether it enforces a JSON Schema.
    """

    name: str
    base_url: str
    key_names: tuple[str, ...]
    base_url_name: str = ""
    note: str = ""
    needs_key: bool = True
    own_hosts: tuple[str, ...] = ()
    path: str = "/chat/completions"
    key_header: Literal["authorization", "api-key"] = "authorization"
    version_name: str = ""
    form: Literal["chat", "responses", "text", "vectors"] = "chat"
    schemas: bool = True
    renamed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that the service reads."""
        names = (*self.key_names, self.base_url_name, self.version_name)
        return tuple(name for name in names if name)


def service(name: str) -> Service:
    """The row of this name. Raises KeyError."""
    return _BY_NAME[name]


OPENAI = Service(
    "openai",
    "https://api.openai.com/v1",
    ("OPENAI_API_KEY",),
    "OPENAI_BASE_URL",
    note="or any compatible server by base_url",
)

_CHAT = (
    OPENAI,
    Service(
        "openai-responses",
        OPENAI.base_url,
        OPENAI.key_names,
        OPENAI.base_url_name,
        note="the Responses API",
        path="/responses",
        form="responses",
    ),
    Service(
        "azure",
        "",
        ("AZURE_OPENAI_API_KEY",),
        "AZURE_OPENAI_ENDPOINT",
        note="NAME is the deployment; without OPENAI_API_VERSION the v1 form of the API",
        key_header="api-key",
        version_name="OPENAI_API_VERSION",
    ),
    Service(
        "openrouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        "OPENROUTER_BASE_URL",
    ),
    Service("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    Service(
        "mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "MISTRAL_BASE_URL",
        renamed=(("seed", "random_seed"),),
        left_out=("stream_options",),
    ),
    Service(
        "deepseek",
        "https://api.deepseek.com",
        ("DEEPSEEK_API_KEY",),
        "DEEPSEEK_BASE_URL",
        schemas=False,
    ),
    Service(
        "together",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY",),
        "TOGETHER_BASE_URL",
        own_hosts=("api.together.ai",),
    ),
    Service("xai", "https://api.x.ai/v1", ("XAI_API_KEY",), "XAI_BASE_URL"),
    Service("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    Service("fireworks", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    Service(
        "perplexity", "https://api.perplexity.ai", ("PERPLEXITY_API_KEY",), "PERPLEXITY_BASE_URL"
    ),
    Service(
        "nvidia", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",), "NVIDIA_BASE_URL"
    ),
    Service(
        "moonshot",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY",),
        "MOONSHOT_BASE_URL",
        own_hosts=("api.moonshot.cn",),
    ),
    Service("huggingface", "https://router.huggingface.co/v1", ("HF_TOKEN",)),
    Service("zai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY",), schemas=False),
    Service("sambanova", "https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    Service("deepinfra", "https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    Service(
        "voyage",
        "https://api.voyageai.com/v1",
        ("VOYAGE_API_KEY",),
        note="embeddings only",
        path="/embeddings",
        form="vectors",
    ),
    Service("writer", "https://api.writer.com/v1", ("WRITER_API_KEY",), path="/chat"),
    Service(
        "snowflake",
        "",
        ("SNOWFLAKE_TOKEN",),
        "SNOWFLAKE_BASE_URL",
        note="https://ACCOUNT.snowflakecomputing.com/api/v2/cortex/v1",
    ),
    Service(
        "bedrock-mantle",
        "https://bedrock-mantle.us-east-1.api.aws/v1",
        ("AWS_BEARER_TOKEN_BEDROCK",),
        "BEDROCK_MANTLE_BASE_URL",
        note="Amazon Bedrock in OpenAI's form; the region is in the address",
    ),
    Service(
        "gemini-openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        note="Gemini in OpenAI's form",
    ),
    Service(
        "anthropic-openai",
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        note="Claude in OpenAI's form",
    ),
    Service(
        "ollama-openai",
        "http://localhost:11434/v1",
        ("OLLAMA_API_KEY",),
        "OLLAMA_BASE_URL",
        note="Ollama in OpenAI's form; a key for ollama.com only",
        needs_key=False,
        own_hosts=("ollama.com",),
    ),
    Service(
        "vllm", "http://localhost:8000/v1", ("VLLM_API_KEY",), "VLLM_BASE_URL", needs_key=False
    ),
    Service(
        "lmstudio",
        "http://localhost:1234/v1",
        ("LMSTUDIO_API_KEY",),
        "LMSTUDIO_BASE_URL",
        needs_key=False,
    ),
    Service(
        "llamacpp",
        "http://localhost:8080/v1",
        ("LLAMACPP_API_KEY",),
        "LLAMACPP_BASE_URL",
        note="llama-server",
        needs_key=False,
    ),
)

_SERVE_TEXT = ("openai", "together", "fireworks", "deepseek", "vllm", "lmstudio", "llamacpp")
"""Those that also continue a plain text, as models without a chat template need."""


def _text_form(row: Service) -> Service:
    name = f"{row.name}-completions"
    beta = "/beta" if row.name == "deepseek" else ""
    return replace(
        row,
        name=name,
        base_url=row.base_url + beta,
        note="continues one text, without a chat template",
        form="text",
        path="/completions",
        schemas=False,
    )


SERVICES = (*_CHAT, *(_text_form(row) for row in _CHAT if row.name in _SERVE_TEXT))

_BY_NAME = {row.name: row for row in SERVICES}
