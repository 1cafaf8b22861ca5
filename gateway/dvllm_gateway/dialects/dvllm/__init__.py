"""The documented API: REST under /api, events over a WebSocket."""
