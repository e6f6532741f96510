"""What every room shares: where the lab is, who signs in to it, and what was sent and answered."""

import json
import os
import uuid

from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.identity import ClientSecretCredential

LAB = json.loads(os.environ["AZIR_LAB"])
ARM = LAB["arm"]
PORT = ARM.rsplit(":", 1)[1]
SUBSCRIPTION = LAB["subscription_id"]
RESPONDER = (LAB["client_id"], LAB["client_secret"])
# On call for the first time: no reach to Azure, and none to administrators.
JUNIOR = ("44444444-4444-4444-8444-444444444445", "lab-secret-of-the-junior")


def credential(who=RESPONDER):
    return ClientSecretCredential(LAB["tenant_id"], *who, authority=ARM, disable_instance_discovery=True)


class Seen(SansIOHTTPPolicy):
    """Every try of every request, as method, path and status."""

    def __init__(self):
        self.tries = []
        self.responses = []

    def on_response(self, request, response):
        asked = request.http_request
        path = asked.url.split("?")[0].split(f":{PORT}", 1)[1]
        self.tries.append((asked.method, path, response.http_response.status_code))
        self.responses.append(response.http_response)


def arm(client, who=RESPONDER, seen=None, **more):
    """A client of Resource Manager that asks often how an operation stands."""
    return client(
        credential(who),
        SUBSCRIPTION,
        base_url=ARM,
        credential_scopes=[f"{ARM}/.default"],
        polling_interval=0.1,
        per_retry_policies=[seen] if seen else None,
        **more,
    )


def at(group, rest):
    """The id of a resource of the usual subscription."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{rest}"


def new(what):
    """A name that nothing has yet."""
    return f"{what}-{uuid.uuid4().hex[:8]}"


def code(error):
    """The service's code of an error that a client of Resource Manager raised."""
    return error.error.code
