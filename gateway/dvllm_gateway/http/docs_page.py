"""One readable page of all operations of all dialects, made when the gateway starts."""

import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from aiohttp import web

from dvllm_gateway.http.door import RawHandler
from dvllm_gateway.http.openapi import describe
from dvllm_gateway.http.operation import Dialect

_STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid var(--line); margin-top: 3rem; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; background: #8881; padding: .6rem; border-radius: .3rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
.scope { float: right; opacity: .7; font-size: .85em; }
"""  # noqa: E501

_REF = re.compile(r"&quot;#/components/schemas/([\w.-]+)&quot;")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def docs_handler(dialects: Sequence[Dialect]) -> RawHandler:
    page = docs_page(dialects)
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}

    async def show(_: web.Request) -> web.StreamResponse:
        return web.Response(text=page, content_type="text/html", headers=headers)

    return show


def docs_page(dialects: Sequence[Dialect]) -> str:
    parts = [_section(dialect) for dialect in dialects]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>decentralized-vllm gateway</title><style>{_STYLE}</style></head><body>"
        "<h1>decentralized-vllm gateway</h1>"
        "<p>Every path is served here as it stands, and under the prefix of its API. "
        "Send <code>Authorization: Bearer &lt;API key&gt;</code> where a scope is named.</p>"
        f"{''.join(parts)}</body></html>"
    )


def _section(dialect: Dialect) -> str:
    document = describe(dialect)
    operations = [
        _operation(method, path, described, document)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    name = escape(dialect.name)
    shown = "".join(operations) + _parts(name, document)
    return (
        f'<h2 id="{name}">{escape(dialect.title)}</h2>'
        f"<p>Prefix <code>/{name}</code>, description for programs at "
        f'<a href="/{name}/openapi.json">/{name}/openapi.json</a>.</p>'
        + _REF.sub(rf'<a href="#{name}-\1">\1</a>', shown)
    )


def _parts(name: str, document: dict[str, Any]) -> str:
    """What bodies and replies only name."""
    return "<h3>Parts of bodies and replies</h3>" + "".join(
        f'<p id="{name}-{escape(part)}"><code>{escape(part)}</code></p>'
        f"<pre>{escape(json.dumps(schema, indent=2))}</pre>"
        for part, schema in sorted(document["components"]["schemas"].items())
    )


def _operation(method: str, path: str, described: dict[str, Any], document: dict[str, Any]) -> str:
    body = described.get("requestBody", {}).get("content", {})
    replies = {
        status: schema
        for status, reply in described["responses"].items()
        if (schema := _schema_of(reply["content"], document)) is not None
    }
    return (
        f'<details><summary><span class="scope">{escape(_scope(described))}</span>'
        f'<span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code><br>'
        f"{escape(described['summary'])}</summary>"
        f"<p>{escape(described.get('description', ''))}</p>"
        f"{_table(described['parameters'])}"
        f"{_shown('Body', _schema_of(body, document))}"
        f"{''.join(_shown(f'Reply {status}', schema) for status, schema in replies.items())}"
        "</details>"
    )


def _scope(described: dict[str, Any]) -> str:
    schemes = described.get("security", [])
    return next((scopes[0] for scheme in schemes for scopes in scheme.values()), "public")


def _table(parameters: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f"<li><code>{escape(each['name'])}</code> in {escape(each['in'])}"
        f"{', required' if each['required'] else ''}</li>"
        for each in parameters
    )
    return f"<ul>{rows}</ul>" if rows else ""


def _shown(title: str, schema: dict[str, Any] | None) -> str:
    if schema is None:
        return ""
    return f"<p>{escape(title)}</p><pre>{escape(json.dumps(schema, indent=2))}</pre>"


def _schema_of(content: dict[str, Any], document: dict[str, Any]) -> dict[str, Any] | None:
    """The properties of a content's model; of what is no JSON, nothing."""
    for kind, described in content.items():
        if kind == "text/event-stream":
            continue
        name = described["schema"].get("$ref", "").rpartition("/")[2]
        model: dict[str, Any] = document["components"]["schemas"].get(name, described["schema"])
        return {key: model[key] for key in ("properties", "required", "anyOf") if key in model}
    return None
