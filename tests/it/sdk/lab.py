"""What every room shares: where the lab is, who signs in to it, and what goes over the wire."""

import json
import os
import uuid
from urllib.parse import urlparse

from azure.core.pipeline.transport import RequestsTransport
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


class Wire(RequestsTransport):
    """What goes over the wire, below every policy: the path, whether there is a token, and the status."""

    def __init__(self):
        super().__init__()
        self.tries = []
        self.heads = []

    def send(self, request, **more):
        place = (urlparse(request.url).path, "Authorization" in request.headers)
        try:
            response = super().send(request, **more)
        except Exception:
            self.tries.append((*place, None))
            self.heads.append({})
            raise
        self.tries.append((*place, response.status_code))
        self.heads.append(response.headers)
        return response

    def told(self, path):
        """Whether each try of a path had a token, and its status; None where the connection broke."""
        return [(signed_in, status) for asked, signed_in, status in self.tries if asked == path]


def arm(client, who=RESPONDER, **more):
    """A client of Resource Manager that asks often how an operation stands."""
    return client(
        credential(who),
        SUBSCRIPTION,
        base_url=ARM,
        credential_scopes=[f"{ARM}/.default"],
        polling_interval=0.1,
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
