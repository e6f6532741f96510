"""Machines, disks and snapshots, by azure-mgmt-compute."""

import unittest

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute import models

from lab import JUNIOR, SUBSCRIPTION, Wire, arm, at, code, new

GROUP = "rg-workload-prod"
FORENSIC = "rg-forensic-prod"
HARD = "rg-hard-prod"
DISK = at(GROUP, "Microsoft.Compute/disks/vm-app-01_OsDisk")


def copy_of(disk, location="westeurope", **more):
    source = models.CreationData(create_option=models.DiskCreateOption.COPY, source_resource_id=disk)
    return models.Snapshot(location=location, creation_data=source, **more)


class Compute(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.wire = Wire()
        cls.client = arm(ComputeManagementClient, transport=cls.wire)

    def snapshot(self, name, **more):
        client = self.client.snapshots
        return client.begin_create_or_update(FORENSIC, name, copy_of(DISK, **more)).result()

    def power(self, group, name):
        view = self.client.virtual_machines.instance_view(group, name)
        return [one.code for one in view.statuses if one.code.startswith("PowerState/")]

    def test_machines_are_listed_over_several_pages(self):
        pages = [list(page) for page in self.client.virtual_machines.list_all().by_page()]
        self.assertGreater(len(pages), 2)
        self.assertLessEqual(max(map(len, pages)), 2)
        names = [machine.name for page in pages for machine in page]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn("vm-hard-01", names)
        of_group = [machine.name for machine in self.client.virtual_machines.list(HARD)]
        self.assertEqual(sorted(of_group), ["vm-hard-01", "vm-other-01"])

    def test_a_machine_shows_its_disks_its_interfaces_and_how_it_stands(self):
        machine = self.client.virtual_machines.get(HARD, "vm-hard-01", expand="instanceView")
        self.assertEqual(machine.location, "westeurope")
        self.assertEqual([disk.lun for disk in machine.storage_profile.data_disks], [0, 1, 2])
        self.assertTrue(all(disk.managed_disk.id for disk in machine.storage_profile.data_disks))
        self.assertEqual(len(machine.network_profile.network_interfaces), 3)
        codes = [status.code for status in machine.instance_view.statuses]
        self.assertEqual(codes, ["ProvisioningState/succeeded", "PowerState/running"])

    def test_a_machine_is_stopped_and_started_to_the_end(self):
        machines, name = self.client.virtual_machines, "vm-twin-01"
        before = len(self.wire.tries)
        poller = machines.begin_deallocate(GROUP, name)
        self.assertIsNone(poller.result())
        self.assertEqual(poller.status(), "Succeeded")
        polls = [path for path, _, _ in self.wire.tries[before:] if "/operations/" in path]
        self.assertGreater(len(polls), 1)
        self.assertEqual(self.power(GROUP, name), ["PowerState/deallocated"])
        machines.begin_start(GROUP, name).result()
        self.assertEqual(self.power(GROUP, name), ["PowerState/running"])
        machines.begin_power_off(GROUP, name).result()
        self.assertEqual(self.power(GROUP, name), ["PowerState/stopped"])
        machines.begin_restart(GROUP, name).result()
        self.assertEqual(self.power(GROUP, name), ["PowerState/running"])

    def test_a_machine_is_updated_under_its_etag_and_under_no_other(self):
        machines, name = self.client.virtual_machines, "vm-other-01"
        before = machines.get(HARD, name)
        tagged = models.VirtualMachineUpdate(tags={"incident_id": "IR-1"})
        same = {"match_condition": MatchConditions.IfNotModified}
        after = machines.begin_update(HARD, name, tagged, etag=before.etag, **same).result()
        self.assertEqual((after.tags, after.provisioning_state), ({"incident_id": "IR-1"}, "Succeeded"))
        self.assertNotEqual(after.etag, before.etag)
        with self.assertRaises(ResourceModifiedError) as refused:
            machines.begin_update(HARD, name, tagged, etag=before.etag, **same)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (412, "PreconditionFailed"))

    def test_the_identities_of_a_machine_go_with_the_map_of_them(self):
        machines, name = self.client.virtual_machines, "vm-hard-01"
        identity = machines.get(HARD, name).identity
        self.assertEqual(identity.type, "SystemAssigned, UserAssigned")
        self.assertTrue(identity.principal_id and len(identity.user_assigned_identities) == 2)
        with self.assertRaises(HttpResponseError) as refused:
            machines.begin_update(HARD, name, models.VirtualMachineUpdate(identity=models.VirtualMachineIdentity(type="None")))
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (400, "InvalidParameter"))
        them = {one: None for one in identity.user_assigned_identities}
        body = {"identity": {"type": "None", "userAssignedIdentities": them}}
        self.assertIsNone(machines.begin_update(HARD, name, body).result().identity)

    def test_what_is_not_there_is_not_found(self):
        for ask, told in [
            (lambda: self.client.virtual_machines.get(GROUP, "vm-none"), "ResourceNotFound"),
            (lambda: self.client.disks.get("rg-none", "none"), "ResourceGroupNotFound"),
            (lambda: self.client.snapshots.get(GROUP, "none"), "ResourceNotFound"),
        ]:
            with self.assertRaises(ResourceNotFoundError) as refused:
                ask()
            self.assertEqual(code(refused.exception), told)
            self.assertIn("could not be found" if told.endswith("GroupNotFound") else "was not found", refused.exception.message)

    def test_a_snapshot_is_made_listed_shared_changed_and_deleted(self):
        name = new("snap")
        snapshot = self.snapshot(name, incremental=True, tags={"incident_id": "IR-1"}, sku=models.SnapshotSku(name="Standard_LRS"))
        self.assertEqual(snapshot.provisioning_state, "Succeeded")
        self.assertEqual(snapshot.creation_data.source_resource_id, DISK)
        self.assertEqual(snapshot.creation_data.source_unique_id, self.client.disks.get(GROUP, DISK.rsplit("/", 1)[1]).unique_id)
        self.assertEqual((snapshot.sku.name, snapshot.sku.tier), ("Standard_LRS", "Standard"))
        self.assertTrue(snapshot.incremental and snapshot.time_created and snapshot.disk_size_bytes)
        self.assertIn(name, [one.name for one in self.client.snapshots.list_by_resource_group(FORENSIC)])
        self.assertIn(name, [one.name for one in self.client.snapshots.list()])
        asked = models.GrantAccessData(access="Read", duration_in_seconds=3600)
        access = self.client.snapshots.begin_grant_access(FORENSIC, name, asked).result()
        self.assertTrue(access.access_sas.startswith("https://md-"))
        self.assertEqual(self.client.snapshots.get(FORENSIC, name).disk_state, "ActiveSAS")
        with self.assertRaises(HttpResponseError) as refused:
            self.client.snapshots.begin_delete(FORENSIC, name)
        self.assertEqual(refused.exception.status_code, 409)
        self.client.snapshots.begin_revoke_access(FORENSIC, name).result()
        self.assertEqual(self.client.snapshots.get(FORENSIC, name).disk_state, "Unattached")
        closed = models.SnapshotUpdate(network_access_policy="DenyAll", public_network_access="Disabled", tags={"kept": "yes"})
        changed = self.client.snapshots.begin_update(FORENSIC, name, closed).result()
        self.assertEqual((changed.network_access_policy, changed.tags), ("DenyAll", {"kept": "yes"}))
        self.client.snapshots.begin_delete(FORENSIC, name).result()
        with self.assertRaises(ResourceNotFoundError):
            self.client.snapshots.get(FORENSIC, name)

    def test_a_disk_is_made_of_a_snapshot_changed_and_deleted(self):
        snapshot = self.snapshot(new("snap"))
        name = new("disk")
        source = models.CreationData(create_option="Copy", source_resource_id=snapshot.id)
        body = models.Disk(location="westeurope", creation_data=source, sku=models.DiskSku(name="StandardSSD_LRS"))
        disk = self.client.disks.begin_create_or_update(FORENSIC, name, body).result()
        self.assertEqual((disk.name, disk.provisioning_state, disk.disk_state), (name, "Succeeded", "Unattached"))
        self.assertEqual((disk.sku.name, disk.sku.tier), ("StandardSSD_LRS", "Standard"))
        self.assertEqual((disk.disk_size_gb, disk.os_type), (snapshot.disk_size_gb, snapshot.os_type))
        self.assertEqual(disk.creation_data.source_unique_id, snapshot.unique_id)
        changed = self.client.disks.begin_update(FORENSIC, name, models.DiskUpdate(tags={"evidence": "1"})).result()
        self.assertEqual(changed.tags, {"evidence": "1"})
        self.assertIn(name, [one.name for one in self.client.disks.list_by_resource_group(FORENSIC)])
        self.client.disks.begin_delete(FORENSIC, name).result()
        with self.assertRaises(ResourceNotFoundError):
            self.client.disks.get(FORENSIC, name)

    def test_an_attached_disk_is_not_deleted(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.client.disks.begin_delete(GROUP, "vm-app-01_OsDisk")
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (409, "OperationNotAllowed"))

    def test_disks_are_listed_over_several_pages(self):
        pages = [list(page) for page in self.client.disks.list().by_page()]
        self.assertGreater(len(pages), 5)
        disks = [disk for page in pages for disk in page]
        self.assertIn(("hard-data-3", "PremiumV2_LRS"), [(disk.name, disk.sku.name) for disk in disks])
        self.assertTrue(all(disk.disk_size_gb and disk.time_created for disk in disks))

    def test_restore_points_are_made_and_read(self):
        collection = new("rpc")
        body = models.RestorePointCollection(
            location="westeurope",
            source=models.RestorePointCollectionSourceProperties(id=at(GROUP, "Microsoft.Compute/virtualMachines/vm-app-01")),
        )
        made = self.client.restore_point_collections.create_or_update(GROUP, collection, body)
        self.assertEqual((made.name, made.provisioning_state), (collection, "Succeeded"))
        point = self.client.restore_points.begin_create(GROUP, collection, "point", models.RestorePoint(consistency_mode="CrashConsistent")).result()
        self.assertEqual(point.provisioning_state, "Succeeded")
        self.assertTrue(point.source_metadata.storage_profile.os_disk.disk_restore_point.id)
        self.assertEqual(self.client.restore_points.get(GROUP, collection, "point").id, point.id)

    def test_a_snapshot_elsewhere_than_its_disk_is_not_found(self):
        with self.assertRaises(ResourceNotFoundError) as refused:
            self.client.snapshots.begin_create_or_update(FORENSIC, new("snap"), copy_of(DISK, "northeurope"))
        self.assertEqual(code(refused.exception), "NotFound")

    def test_a_locked_group_takes_no_snapshot(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.client.snapshots.begin_create_or_update("rg-locked", new("snap"), copy_of(DISK))
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (409, "ScopeLocked"))
        self.assertIn("are locked", refused.exception.message)

    def test_a_policy_disallows_a_snapshot(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.client.snapshots.begin_create_or_update("rg-governed", new("snap"), copy_of(DISK))
        error = refused.exception
        self.assertEqual((error.status_code, code(error)), (403, "RequestDisallowedByPolicy"))
        self.assertEqual(error.error.additional_info[0].type, "PolicyViolation")

    def test_who_has_no_rights_is_told_which_one_is_missing(self):
        weak = arm(ComputeManagementClient, JUNIOR)
        with self.assertRaises(HttpResponseError) as refused:
            weak.virtual_machines.begin_deallocate(GROUP, "vm-app-01")
        error = refused.exception
        self.assertEqual((error.status_code, code(error)), (403, "AuthorizationFailed"))
        self.assertIn("Microsoft.Compute/virtualMachines/deallocate/action", error.message)
        self.assertIn(SUBSCRIPTION, error.message)

    def test_what_the_lab_does_not_model_is_refused(self):
        size = models.HardwareProfile(vm_size="Standard_M416ms_v2")
        machine = models.VirtualMachine(location="westeurope", hardware_profile=size)
        with self.assertRaises(HttpResponseError) as refused:
            self.client.virtual_machines.begin_create_or_update(GROUP, "vm-new", machine)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (501, "NotModelled"))
