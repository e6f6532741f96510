"""Storage accounts, containers and what protects them, by azure-mgmt-storage; vaults, by azure-mgmt-keyvault."""

import unittest
import uuid

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage import models

from lab import arm, code, new

GROUP, ACCOUNT = "rg-forensic-prod", "stforensicirprodweu"


class Storage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = arm(StorageManagementClient)

    def container(self):
        name = new("evidence")
        made = self.client.blob_containers.create(GROUP, ACCOUNT, name, models.BlobContainer())
        self.assertEqual((made.name, made.has_immutability_policy, made.has_legal_hold), (name, False, False))
        return name

    def test_an_account_is_made_read_listed_changed_and_deleted(self):
        accounts, name = self.client.storage_accounts, "st" + uuid.uuid4().hex[:16]
        self.assertTrue(accounts.check_name_availability(models.StorageAccountCheckNameAvailabilityParameters(name=name)).name_available)
        body = models.StorageAccountCreateParameters(
            sku=models.Sku(name="Standard_LRS"), kind="StorageV2", location="westeurope",
            allow_blob_public_access=False, minimum_tls_version="TLS1_2", tags={"ir": "1"},
        )
        poller = accounts.begin_create(GROUP, name, body)
        made = poller.result()
        self.assertEqual((made.name, made.provisioning_state, made.sku.tier), (name, "Succeeded", "Standard"))
        self.assertTrue(made.primary_endpoints.blob.startswith(f"https://{name}.blob."))
        self.assertFalse(accounts.check_name_availability(models.StorageAccountCheckNameAvailabilityParameters(name=name)).name_available)
        changed = accounts.update(GROUP, name, models.StorageAccountUpdateParameters(public_network_access="Disabled"))
        self.assertEqual((changed.public_network_access, changed.tags), ("Disabled", {"ir": "1"}))
        self.assertIn(name, [one.name for one in accounts.list_by_resource_group(GROUP)])
        pages = [list(page) for page in accounts.list().by_page()]
        self.assertGreater(len(pages), 1)
        with self.assertRaises(ResourceNotFoundError):
            accounts.get_properties(GROUP, "stnone")
        accounts.delete(GROUP, name)
        with self.assertRaises(ResourceNotFoundError):
            accounts.get_properties(GROUP, name)

    def test_an_account_with_a_locked_container_is_not_deleted(self):
        with self.assertRaises(ResourceExistsError) as refused:
            self.client.storage_accounts.delete(GROUP, ACCOUNT)
        self.assertEqual(refused.exception.status_code, 409)

    def test_containers_are_listed_over_several_pages(self):
        pages = [list(page) for page in self.client.blob_containers.list(GROUP, ACCOUNT).by_page()]
        self.assertGreater(len(pages), 2)
        found = {one.name: one for page in pages for one in page}
        self.assertTrue(found["ir-evidence"].has_immutability_policy)
        self.assertTrue(found["ir-held"].has_legal_hold)
        shown = self.client.blob_containers.get(GROUP, ACCOUNT, "ir-evidence")
        self.assertEqual((shown.immutability_policy.state, shown.public_access), ("Locked", "None"))

    def test_a_policy_is_made_changed_under_its_etag_locked_and_extended(self):
        containers, name = self.client.blob_containers, self.container()
        asked = models.ImmutabilityPolicy(immutability_period_since_creation_in_days=1, allow_protected_append_writes=True)
        made = containers.create_or_update_immutability_policy(GROUP, ACCOUNT, name, parameters=asked)
        self.assertEqual((made.state, made.immutability_period_since_creation_in_days), ("Unlocked", 1))
        read = containers.get_immutability_policy(GROUP, ACCOUNT, name)
        self.assertEqual((read.etag, read.allow_protected_append_writes), (made.etag, True))
        longer = models.ImmutabilityPolicy(immutability_period_since_creation_in_days=2, allow_protected_append_writes=True)
        changed = containers.create_or_update_immutability_policy(GROUP, ACCOUNT, name, parameters=longer, **under(made.etag))
        self.assertNotEqual(changed.etag, made.etag)
        with self.assertRaises(HttpResponseError) as refused:
            containers.lock_immutability_policy(GROUP, ACCOUNT, name, **under(made.etag))
        self.assertEqual(refused.exception.status_code, 412)
        locked = containers.lock_immutability_policy(GROUP, ACCOUNT, name, **under(changed.etag))
        self.assertEqual(locked.state, "Locked")
        with self.assertRaises(HttpResponseError) as refused:
            containers.delete_immutability_policy(GROUP, ACCOUNT, name, **under(locked.etag))
        self.assertEqual(refused.exception.status_code, 409)
        more = models.ImmutabilityPolicy(immutability_period_since_creation_in_days=30)
        extended = containers.extend_immutability_policy(GROUP, ACCOUNT, name, parameters=more, **under(locked.etag))
        self.assertEqual((extended.state, extended.immutability_period_since_creation_in_days), ("Locked", 30))
        with self.assertRaises(HttpResponseError) as refused:
            containers.delete(GROUP, ACCOUNT, name)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (409, "ContainerProtectedFromDeletion"))

    def test_a_legal_hold_is_set_and_cleared(self):
        containers, name = self.client.blob_containers, self.container()
        held = containers.set_legal_hold(GROUP, ACCOUNT, name, models.LegalHold(tags=["ir2026"]))
        self.assertEqual((held.has_legal_hold, held.tags), (True, ["ir2026"]))
        self.assertTrue(containers.get(GROUP, ACCOUNT, name).has_legal_hold)
        with self.assertRaises(HttpResponseError):
            containers.delete(GROUP, ACCOUNT, name)
        cleared = containers.clear_legal_hold(GROUP, ACCOUNT, name, models.LegalHold(tags=["ir2026"]))
        self.assertEqual((cleared.has_legal_hold, cleared.tags), (False, []))
        containers.delete(GROUP, ACCOUNT, name)
        with self.assertRaises(ResourceNotFoundError):
            containers.get(GROUP, ACCOUNT, name)

    def test_the_blob_service_is_told_to_keep_versions(self):
        services = self.client.blob_services
        before = services.get_service_properties(GROUP, ACCOUNT)
        self.assertFalse(before.is_versioning_enabled)
        account = "stshopprod"
        told = services.set_service_properties("rg-workload-prod", account, models.BlobServiceProperties(is_versioning_enabled=True))
        self.assertTrue(told.is_versioning_enabled)

    def test_keys_of_an_account_are_no_business_of_the_lab(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.client.storage_accounts.list_keys(GROUP, ACCOUNT)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (501, "NotModelled"))

    def test_vaults_are_listed_over_several_pages_and_read(self):
        vaults = arm(KeyVaultManagementClient).vaults
        pages = [list(page) for page in vaults.list_by_subscription().by_page()]
        self.assertGreater(len(pages), 1)
        self.assertIn("kv-shop", [one.name for page in pages for one in page])
        shop = vaults.get("rg-workload-prod", "kv-shop")
        self.assertTrue(shop.properties.enable_rbac_authorization)
        self.assertTrue(shop.properties.vault_uri.startswith("https://kv-shop.vault."))
        policy = vaults.get("rg-workload-prod", "kv-policy").properties.access_policies[1]
        self.assertEqual(policy.permissions.secrets, ["list", "set"])
        # What follows the first page this client asks with a version of vaults, which a list of all resources has not.
        self.assertTrue(all(one.type == "Microsoft.KeyVault/vaults" for one in next(vaults.list().by_page())))


def under(etag):
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}
