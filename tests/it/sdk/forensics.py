"""A forensic tool of others, libcloudforensics, copies disks of the lab.

It knows no other cloud than the public one, so what it makes its clients with is given here: the lab's address, the
token's scope, and how often an operation is looked at. All else is its own.
"""

import functools
import logging
import unittest

from azure.mgmt.compute import ComputeManagementClient
from libcloudforensics.providers.azure import forensics
from libcloudforensics.providers.azure.internal import account, common, compute, monitoring, network, resource, storage

from lab import ARM, SUBSCRIPTION, arm, credential, new

HERE = {"base_url": ARM, "credential_scopes": [f"{ARM}/.default"], "polling_interval": 0.1}


def here(client):
    return functools.partial(client, **HERE)


class Forensics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # It writes the addresses of what it shares, which are secrets.
        logging.disable(logging.CRITICAL)
        common.GetCredentials = lambda profile_name=None: (SUBSCRIPTION, credential())
        compute.compute_sdk.ComputeManagementClient = here(compute.compute_sdk.ComputeManagementClient)
        compute.AzureReservationAPI = here(compute.AzureReservationAPI)
        compute.ResourceManagementClient = here(compute.ResourceManagementClient)
        monitoring.MonitorManagementClient = here(monitoring.MonitorManagementClient)
        network.network.NetworkManagementClient = here(network.network.NetworkManagementClient)
        resource.resource.ResourceManagementClient = here(resource.resource.ResourceManagementClient)
        resource.resource.SubscriptionClient = here(resource.resource.SubscriptionClient)
        storage.storage.StorageManagementClient = here(storage.storage.StorageManagementClient)
        compute.sleep = lambda seconds: None
        cls.account = account.AZAccount("rg-forensic-prod", default_region="westeurope")
        cls.disks = arm(ComputeManagementClient).disks

    def test_machines_and_disks_are_listed_over_several_pages(self):
        machines = self.account.compute.ListInstances()
        self.assertIn("vm-hard-01", machines)
        self.assertEqual(machines["vm-hard-01"].region, "westeurope")
        self.assertEqual(set(self.account.compute.ListInstances("rg-locked")), {"vm-locked-01"})
        disks = self.account.compute.ListDisks()
        self.assertIn("hard-data-3", disks)
        self.assertEqual(self.account.resource.ListSubscriptionIDs()[0], SUBSCRIPTION)

    def test_the_disks_of_a_machine_are_found(self):
        machine = self.account.compute.GetInstance("vm-app-01")
        self.assertEqual(machine.GetBootDisk().name, "vm-app-01_OsDisk")
        self.assertEqual(machine.GetBootDisk().GetDiskType(), "Premium_LRS")
        self.assertIn("vm-app-01_OsDisk", machine.ListDisks())

    def test_a_disk_is_copied_into_another_group(self):
        copy = forensics.CreateDiskCopy("rg-forensic-prod", disk_name="vm-app-01_OsDisk", region="westeurope")
        self.assertTrue(copy.name.startswith("evidence_vm_app_01_OsDisk_snapshot"))
        made = self.disks.get("rg-forensic-prod", copy.name)
        self.assertEqual((made.provisioning_state, made.sku.name, made.location), ("Succeeded", "Premium_LRS", "westeurope"))
        source = self.disks.get("rg-workload-prod", "vm-app-01_OsDisk")
        self.assertEqual(made.disk_size_gb, source.disk_size_gb)
        self.assertNotIn("vm-app-01_OsDisk_snapshot", [one.name for one in arm(ComputeManagementClient).snapshots.list()])

    def test_the_boot_disk_of_a_machine_is_copied_as_another_type(self):
        copy = forensics.CreateDiskCopy("rg-forensic-prod", instance_name="vm-other-01", disk_type="Standard_LRS", region="westeurope")
        made = self.disks.get("rg-forensic-prod", copy.name)
        self.assertEqual((made.sku.name, made.sku.tier), ("Standard_LRS", "Standard"))

    def test_a_snapshot_is_made_shared_and_deleted(self):
        disk = self.account.compute.GetDisk("hard-data-1")
        snapshot = disk.Snapshot(new("snapshot"), tags={"TicketID": "IR-1"})
        self.assertTrue(snapshot.GrantAccessAndGetURI().startswith("https://md-"))
        snapshot.RevokeAccessURI()
        snapshot.Delete()

    def test_a_group_that_is_there_is_used(self):
        self.assertEqual(self.account.resource.GetOrCreateResourceGroup("rg-security-prod"), "rg-security-prod")

    def test_a_copy_into_another_region_needs_the_keys_of_an_account(self):
        with self.assertRaises(Exception) as refused:
            forensics.CreateDiskCopy("rg-forensic-prod", disk_name="hard-data-2", region="northeurope")
        self.assertIn("NotModelled", str(refused.exception))
