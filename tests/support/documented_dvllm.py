"""The bodies of the documented API: what a client sends, and the shape of what it gets."""

from typing import Any

TIME = "2024-01-01T12:00:00Z"

STATUS = {
    "status": "healthy",
    "uptime": 3600,
    "version": "1.0.0",
    "network": {"peers": 5, "blockNumber": 12345},
    "resources": {"cpu": 45.2, "memory": 67.8, "gpu": 23.1},
}
PEERS = {
    "peers": [
        {"id": "peer1", "address": "192.168.1.100:30303", "connected": True, "lastSeen": TIME}
    ]
}
SHARES = {"cpu": 10, "memory": 15, "gpu": 10, "storage": 5}
RESOURCES = {"allocation": SHARES, "usage": SHARES, "limits": SHARES}
CHANGE_RESOURCES = {"cpu": 15, "memory": 20, "gpu": 15, "storage": 8}
SUBMIT = {
    "prompt": "What is artificial intelligence?",
    "modelId": "gpt-3.5-turbo",
    "maxTokens": 100,
    "temperature": 0.7,
}
SUBMITTED = {
    "taskId": "task_123",
    "jobId": 456,
    "status": "submitted",
    "estimatedTime": 30,
    "promptCID": "QmPromptHash123",
}
TIMING = {"submitted": TIME, "started": TIME, "completed": TIME, "totalTime": 35.2}
TASK = {
    "taskId": "task_123",
    "jobId": 456,
    "status": "completed",
    "prompt": "What is artificial intelligence?",
    "response": "Artificial intelligence (AI) refers to...",
    "timing": TIMING,
    "worker": "0x1234567890abcdef",
    "responseCID": "QmResponseHash456",
}
MODELS = {
    "models": [
        {
            "id": "gpt-3.5-turbo",
            "name": "GPT-3.5 Turbo",
            "description": "Fast and efficient language model",
            "cid": "QmModelHash789",
            "active": True,
            "timestamp": TIME,
        }
    ]
}
ERROR = {"error": {"code": "E003", "message": "", "details": "", "timestamp": TIME}}
EVENTS: dict[str, dict[str, Any]] = {
    "task_submitted": {"taskId": "task_123", "jobId": 456, "prompt": "", "modelId": ""},
    "task_completed": {
        "taskId": "task_123",
        "jobId": 456,
        "response": "",
        "worker": "0x1234567890abcdef",
        "timing": {"totalTime": 35.2},
    },
    "resource_updated": CHANGE_RESOURCES,
}
FRAME = {"type": "event_type", "data": {}, "timestamp": TIME}

# What this project decided where the document is silent.
TASKS = {
    "tasks": [
        {
            "taskId": "",
            "jobId": 1,
            "status": "",
            "modelId": "",
            "timing": TIMING,
            "worker": "",
        }
    ],
    "total": 1,
}
UPLOADED = {
    "modelId": "",
    "cid": "",
    "status": "registered",
    "transactionHash": "",
    "transaction": None,
}
KEYS = {"keys": [{"keyId": "", "scopes": [""], "createdAt": TIME, "lastUsedAt": None}]}
CHALLENGE = {"message": "", "nonce": "", "expiresAt": TIME}
VERIFIED = {"apiKey": "", "keyId": "", "scopes": [""]}
CREDIT = {
    "available": "",
    "reserved": "",
    "availableWei": "",
    "reservedWei": "",
    "payee": "",
}
TOPPED_UP = {
    "transactionHash": "",
    "account": "",
    "amount": "",
    "amountWei": "",
    "status": "credited",
}


def check_shape(body: Any, documented: Any, *, at: str = "body") -> None:
    """Every documented key with its JSON type, and nothing else. A list's items are all alike."""
    if isinstance(documented, dict):
        assert isinstance(body, dict), f"{at} is no object"
        assert set(body) == set(documented) or not documented, f"{at}: {set(body)}"
        for name, value in documented.items():
            check_shape(body[name], value, at=f"{at}.{name}")
    elif isinstance(documented, list):
        assert isinstance(body, list), f"{at} is no array"
        for number, item in enumerate(body):
            check_shape(item, documented[0], at=f"{at}[{number}]")
    elif documented is not None:
        assert _json_type(body) == _json_type(documented), f"{at} is {body!r}"
        if documented == TIME:
            assert str(body).endswith("Z") and len(str(body)) == len(TIME) + 4, f"{at}: {body!r}"


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else type(value).__name__
