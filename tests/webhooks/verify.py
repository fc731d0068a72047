"""Verifies messages with the reference library for Python: each with each secret, and a changed copy of it.

Reads {"messages": [{"headers", "body"}], "secrets": []} from stdin; prints "<n> accepted, <n> refused".
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

cases = json.load(sys.stdin)
accepted = refused = 0
for message in cases["messages"]:
    for secret in cases["secrets"]:
        Webhook(secret).verify(message["body"], message["headers"])
        accepted += 1
        try:
            Webhook(secret).verify(message["body"] + " ", message["headers"])
        except WebhookVerificationError:
            refused += 1
print(f"{accepted} accepted, {refused} refused")
