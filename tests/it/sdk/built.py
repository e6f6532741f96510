"""What is built from nothing and goes again: a group, a network, a machine and a vault, each by its own client."""

import unittest

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient

from lab import LAB, arm, code, new

PLACE = "westeurope"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpvaG4gZG9lIGpvaG4gZG9lIGpvaG4gZG9lIGpvaG4gZG9l lab"


class Built(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = arm(ResourceManagementClient)
        cls.network = arm(NetworkManagementClient)
        cls.compute = arm(ComputeManagementClient)
        cls.vaults = arm(KeyVaultManagementClient)

    def setUp(self):
        self.group = new("rg")
        self.resources.resource_groups.create_or_update(self.group, {"location": PLACE, "tags": {"purpose": "drill"}})

    def interfaces(self, count):
        space = {"addressPrefixes": ["10.9.0.0/16"]}
        subnets = [{"name": "default", "properties": {"addressPrefix": "10.9.0.0/24"}}]
        network = {"location": PLACE, "properties": {"addressSpace": space, "subnets": subnets}}
        made = self.network.virtual_networks.begin_create_or_update(self.group, "net", network).result()
        subnet = {"id": made.subnets[0].id}
        nics = []
        for number in range(count):
            one = {"name": "ipconfig1", "properties": {"subnet": subnet}}
            body = {"location": PLACE, "properties": {"ipConfigurations": [one]}}
            nics.append(self.network.network_interfaces.begin_create_or_update(self.group, f"nic-{number}", body).result())
        return nics

    def machine(self, nics, size="Standard_B1s"):
        references = [{"id": nic.id, "properties": {"primary": nic is nics[0]}} for nic in nics]
        image = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}
        keys = [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]
        return {
            "location": PLACE,
            "identity": {"type": "SystemAssigned"},
            "properties": {
                "hardwareProfile": {"vmSize": size},
                "storageProfile": {
                    "imageReference": image,
                    "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "Standard_LRS"}},
                    "dataDisks": [{"lun": 0, "createOption": "Empty", "diskSizeGB": 4}],
                },
                "osProfile": {"computerName": "vm", "adminUsername": "azureuser", "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": keys}}},
                "networkProfile": {"networkInterfaces": references},
            },
        }

    def test_a_machine_is_made_with_its_parts_and_deleted_to_the_end(self):
        nics = self.interfaces(2)
        machines = self.compute.virtual_machines
        made = machines.begin_create_or_update(self.group, "vm", self.machine(nics)).result()
        self.assertEqual(made.provisioning_state, "Succeeded")
        self.assertTrue(made.identity.principal_id)
        disk = self.compute.disks.get(self.group, made.storage_profile.os_disk.name)
        self.assertEqual((disk.managed_by, disk.disk_state), (made.id, "Attached"))
        nic = self.network.network_interfaces.get(self.group, "nic-1")
        self.assertEqual(nic.virtual_machine.id, made.id)
        with self.assertRaises(HttpResponseError) as refused:
            self.network.network_interfaces.begin_delete(self.group, "nic-1")
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (400, "NicInUse"))
        machines.begin_delete(self.group, "vm").result()
        with self.assertRaises(ResourceNotFoundError):
            machines.get(self.group, "vm")
        self.assertIsNone(self.compute.disks.get(self.group, disk.name).managed_by)
        self.network.network_interfaces.begin_delete(self.group, "nic-1").result()

    def test_a_machine_has_no_more_interfaces_than_its_size_takes(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.compute.virtual_machines.begin_create_or_update(self.group, "vm", self.machine(self.interfaces(3)))
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (400, "NetworkInterfaceCountExceeded"))

    def test_a_vault_is_made_deleted_and_purged(self):
        name = new("kv")[:20]
        properties = {"tenantId": LAB["tenant_id"], "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
        body = {"location": PLACE, "properties": properties}
        made = self.vaults.vaults.begin_create_or_update(self.group, name, body).result()
        self.assertTrue(made.properties.vault_uri.startswith(f"https://{name}.vault."))
        self.vaults.vaults.delete(self.group, name)
        deleted = self.vaults.vaults.get_deleted(name, PLACE)
        self.assertEqual(deleted.properties.vault_id, made.id)
        self.assertIn(name, [one.name for one in self.vaults.vaults.list_deleted()])
        self.vaults.vaults.begin_purge_deleted(name, PLACE).result()
        with self.assertRaises(HttpResponseError) as gone:
            self.vaults.vaults.get_deleted(name, PLACE)
        self.assertEqual(gone.exception.status_code, 404)

    def test_a_group_goes_with_all_that_is_in_it(self):
        nics = self.interfaces(1)
        self.compute.virtual_machines.begin_create_or_update(self.group, "vm", self.machine(nics)).result()
        within = [one.type for one in self.resources.resources.list_by_resource_group(self.group)]
        self.assertEqual(len(within), 5, within)
        self.resources.resource_groups.begin_delete(self.group).result()
        self.assertFalse(self.resources.resource_groups.check_existence(self.group))
        with self.assertRaises(ResourceNotFoundError):
            self.compute.virtual_machines.get(self.group, "vm")
