"""What the clients do by themselves when something goes wrong on the way."""

import unittest

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute import models

from lab import PORT, Wire, arm, at, code, credential

GROUP = "rg-forensic-prod"


class Trouble(unittest.TestCase):
    def setUp(self):
        self.wire = Wire()
        self.snapshots = arm(ComputeManagementClient, transport=self.wire).snapshots

    def told(self, name):
        return [status for _, status in self.wire.told(at(GROUP, f"Microsoft.Compute/snapshots/{name}"))]

    def looked_for(self, name):
        with self.assertRaises(ResourceNotFoundError):
            self.snapshots.get(GROUP, name)
        return self.told(name)

    def test_an_operation_that_fails_raises_what_its_end_says(self):
        disk = at("rg-workload-prod", "Microsoft.Compute/disks/vm-app-01_data1")
        body = models.Snapshot(location="westeurope", creation_data=models.CreationData(create_option="Copy", source_resource_id=disk))
        poller = self.snapshots.begin_create_or_update(GROUP, "fails", body)
        with self.assertRaises(HttpResponseError) as refused:
            poller.result()
        self.assertEqual((poller.status(), code(refused.exception)), ("Failed", "InternalOperationError"))
        self.assertEqual(self.snapshots.get(GROUP, "fails").provisioning_state, "Failed")

    def test_a_service_that_is_busy_is_asked_again(self):
        self.assertEqual(self.looked_for("busy"), [503, 404])

    def test_a_connection_that_breaks_is_made_again(self):
        self.assertEqual(self.looked_for("cut-off"), [None, 404])

    def test_a_claims_challenge_is_answered_with_another_token(self):
        self.assertEqual(self.looked_for("challenged"), [401, 404])

    def test_a_token_that_is_refused_without_a_challenge_is_an_error(self):
        with self.assertRaises(ClientAuthenticationError) as refused:
            self.snapshots.get(GROUP, "refused")
        self.assertEqual(code(refused.exception), "ExpiredAuthenticationToken")

    def test_a_vault_asks_for_a_token_and_then_for_another(self):
        vault = SecretClient(f"https://kv-shop.vault.localhost:{PORT}", credential(), transport=self.wire)
        self.assertEqual(list(vault.list_properties_of_secret_versions("challenged")), [])
        tries = self.wire.told("/secrets/challenged/versions")
        self.assertEqual(tries, [(False, 401), (True, 401), (True, 200)])
