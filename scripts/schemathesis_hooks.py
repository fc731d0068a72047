"""What schemathesis cannot be told by its configuration."""

import os
import re
from zlib import crc32

import schemathesis

# A repository that jobs succeed on, and a receiver that takes every message.
REPOSITORY = os.environ["TINYGEN_CHECK_API_REPOSITORY"]
RECEIVER = os.environ["TINYGEN_CHECK_API_RECEIVER"]

# The key that the checks come with, on a server that needs one.
KEY = os.environ.get("TINYGEN_CHECK_API_KEY", "")

# Why a request that fits its schema may be refused with 400 or 422 all the same: by operation, the code of the problem, and
# what it is about. Every other refusal of such a request is a finding.
REASONS = {
    "create_job": {
        # What a URL's parser makes of it, and whether this server talks to the host.
        "unsupported_repo_url": "/repoUrl",
        "blocked_address": "/repoUrl|/webhook/url",
        # `a..b`, `a.lock`, `a//b` and `@{`; dollars with more than nine decimals; `..` and brackets that do not close.
        "invalid_field": r"/repoUrl|/ref|/maxCostUsd|/(paths|excludePaths)/\d+|/webhook/url",
        # The same key with another body.
        "idempotency_key_reused": "",
    },
    "retry_job": {"idempotency_key_reused": ""},
    "create_webhook": {"invalid_field": "/url", "blocked_address": "/url"},
    "change_webhook": {"invalid_field": "/url", "blocked_address": "/url"},
    "create_key": {"invalid_field": "/limits/usdPerDay"},
    # A cursor is one that this server gave.
    "list_jobs": {"bad_cursor": "", "invalid_parameter": "repoUrl"},
    "list_job_deliveries": {"bad_cursor": ""},
    "list_webhook_deliveries": {"bad_cursor": ""},
    # An event is one that has happened; `limit` is for pages.
    "get_events": {"bad_last_event_id": "", "invalid_parameter": "after|limit"},
}


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    operation, body = operation_of(case), case.body
    # The checks never revoke the key that they come with.
    if operation == "revoke_key" and KEY.startswith(f"tg_{(case.path_parameters or {}).get('id')}_"):
        case.path_parameters = {**case.path_parameters, "id": "00000000-0000-7000-8000-000000000000"}
    # No host that schemathesis makes up is there. Every second job and webhook is for one that is, so that there are
    # results and deliveries to look at.
    if is_positive(case) and isinstance(body, dict) and crc32(repr(body).encode()) % 2 == 0:
        if operation == "create_job":
            unfit = ("ref", "model", "paths", "excludePaths", "maxCostUsd")
            case.body = {**{name: body[name] for name in body if name not in unfit}, "repoUrl": REPOSITORY}
        elif operation == "create_webhook":
            case.body = {**body, "url": RECEIVER}


@schemathesis.check
def refused_for_a_reason(ctx, response, case):
    """Of a request that fits its schema nothing is refused but what no schema can say."""
    if response.status_code not in (400, 422) or not is_positive(case):
        return
    problem = response.json()
    reasons = REASONS.get(operation_of(case), {})
    assert problem["code"] in reasons, f"a request that fits its schema is refused: {problem['detail']}"
    for error in problem.get("errors", []):
        place = next(error[kind] for kind in ("pointer", "parameter", "header") if kind in error)
        assert re.fullmatch(reasons[problem["code"]], place), f"{place} fits its schema and is refused: {error['detail']}"
