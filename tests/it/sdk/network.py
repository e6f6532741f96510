"""Interfaces and network security groups, by azure-mgmt-network."""

import unittest

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.network import models

from lab import arm, at, code, new

GROUP = "rg-hard-prod"
SECURITY = "rg-security-prod"


def rule(name, priority=100, access="Deny", direction="Inbound"):
    return models.SecurityRule(
        name=name, priority=priority, access=access, direction=direction, protocol="*", source_address_prefix="*",
        source_port_range="*", destination_address_prefix="*", destination_port_range="*",
    )


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = arm(NetworkManagementClient)

    def made(self, name, **more):
        body = models.NetworkSecurityGroup(location="westeurope", security_rules=[rule("DenyAllInbound", 4096)], **more)
        return self.client.network_security_groups.begin_create_or_update(SECURITY, name, body).result()

    def test_a_group_is_made_read_listed_changed_and_deleted(self):
        groups, name = self.client.network_security_groups, new("nsg")
        made = self.made(name, tags={"ir": "1"}, flush_connection=True)
        self.assertEqual((made.name, made.provisioning_state, made.flush_connection), (name, "Succeeded", True))
        self.assertEqual([one.name for one in made.security_rules], ["DenyAllInbound"])
        self.assertEqual(len(made.default_security_rules), 6)
        self.assertTrue(made.etag and made.resource_guid)
        self.assertIn(name, [one.name for one in groups.list(SECURITY)])
        pages = [list(page) for page in groups.list_all().by_page()]
        self.assertGreater(len(pages), 1)
        made.security_rules.append(rule("AllowBastion", 100, "Allow"))
        changed = groups.begin_create_or_update(SECURITY, name, made).result()
        self.assertEqual(len(changed.security_rules), 2)
        self.assertNotEqual(changed.etag, made.etag)
        tagged = groups.update_tags(SECURITY, name, models.TagsObject(tags={"ir": "2"}))
        self.assertEqual((tagged.tags, len(tagged.security_rules)), ({"ir": "2"}, 2))
        groups.begin_delete(SECURITY, name).result()
        with self.assertRaises(ResourceNotFoundError) as refused:
            groups.get(SECURITY, name)
        self.assertEqual(code(refused.exception), "ResourceNotFound")

    def test_a_rule_is_made_read_listed_and_deleted(self):
        rules, name = self.client.security_rules, new("nsg")
        self.made(name)
        made = rules.begin_create_or_update(SECURITY, name, "DenyAllOutbound", rule("DenyAllOutbound", 4096, direction="Outbound")).result()
        self.assertEqual((made.name, made.direction, made.provisioning_state), ("DenyAllOutbound", "Outbound", "Succeeded"))
        self.assertEqual(rules.get(SECURITY, name, "DenyAllOutbound").priority, 4096)
        self.assertEqual(len(list(rules.list(SECURITY, name))), 2)
        self.assertEqual(len(list(self.client.default_security_rules.list(SECURITY, name))), 6)
        with self.assertRaises(HttpResponseError) as refused:
            rules.begin_create_or_update(SECURITY, name, "Other", rule("Other", 4096))
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (400, "SecurityRuleConflict"))
        rules.begin_delete(SECURITY, name, "DenyAllOutbound").result()
        self.assertEqual([one.name for one in rules.list(SECURITY, name)], ["DenyAllInbound"])
        self.client.network_security_groups.begin_delete(SECURITY, name).result()

    def test_an_interface_goes_behind_another_group_and_keeps_the_rest(self):
        nics, name = self.client.network_interfaces, "hard-nic-1"
        nic = nics.get(GROUP, name)
        quarantine = at(SECURITY, "Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-westeurope")
        before = nic.as_dict()
        nic.network_security_group = models.NetworkSecurityGroup(id=quarantine)
        poller = nics.begin_create_or_update(GROUP, name, nic)
        after = poller.result()
        self.assertEqual(poller.status(), "Succeeded")
        self.assertEqual(after.network_security_group.id, quarantine)
        self.assertEqual(after.provisioning_state, "Succeeded")
        self.assertNotEqual(after.etag, before["etag"])
        self.assertEqual(after.ip_configurations[0].public_ip_address.id, nic.ip_configurations[0].public_ip_address.id)
        self.assertEqual(after.mac_address, nic.mac_address)
        shown = self.client.network_security_groups.get(SECURITY, "nsg-ir-quarantine-westeurope")
        self.assertIn(nic.id, [one.id for one in shown.network_interfaces])
        with self.assertRaises(HttpResponseError) as refused:
            self.client.network_security_groups.begin_delete(SECURITY, "nsg-ir-quarantine-westeurope")
        self.assertEqual(code(refused.exception), "InUseNetworkSecurityGroupCannotBeDeleted")

    def test_an_interface_under_a_stale_etag_is_left_alone(self):
        nics, name = self.client.network_interfaces, "hard-nic-2"
        nic = nics.get(GROUP, name)
        self.assertEqual(len(nic.ip_configurations), 2)
        stale = nic.etag
        nics.begin_create_or_update(GROUP, name, nic, headers={"If-Match": stale}).result()
        with self.assertRaises(HttpResponseError) as refused:
            nics.begin_create_or_update(GROUP, name, nic, headers={"If-Match": stale})
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (412, "PreconditionFailed"))

    def test_effective_groups_come_at_the_end_of_their_operation(self):
        nics = self.client.network_interfaces
        found = nics.begin_list_effective_network_security_groups("rg-hard-data", "hard-nic-3").result()
        self.assertTrue(found.value)
        rules = [rule for one in found.value for rule in one.effective_security_rules]
        self.assertIn("defaultSecurityRules/DenyAllInBound", [rule.name for rule in rules])
        self.assertTrue(all(rule.protocol in ("All", "Tcp", "Udp") for rule in rules))
        self.assertTrue(all(one.association.network_interface or one.association.subnet for one in found.value))

    def test_effective_groups_need_a_running_machine(self):
        nics = self.client.network_interfaces
        stopped = next(one.name for one in nics.list("rg-workload-prod") if one.virtual_machine.id.endswith("/vm-stopped-01"))
        with self.assertRaises(HttpResponseError) as refused:
            nics.begin_list_effective_network_security_groups("rg-workload-prod", stopped).result()
        self.assertEqual(code(refused.exception), "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups")

    def test_interfaces_are_listed_over_several_pages(self):
        pages = [list(page) for page in self.client.network_interfaces.list_all().by_page()]
        self.assertGreater(len(pages), 3)
        nics = [nic for page in pages for nic in page]
        self.assertTrue(all(nic.ip_configurations[0].private_ip_address for nic in nics))
        self.assertTrue(all(nic.ip_configurations[0].subnet.id for nic in nics))

    def test_addresses_networks_and_balancers_are_read(self):
        address = self.client.public_ip_addresses.get(GROUP, "pip-hard")
        self.assertEqual((address.ip_address, address.sku.name), ("203.0.113.10", "Standard"))
        self.assertIn("/ipConfigurations/", address.ip_configuration.id)
        network = self.client.virtual_networks.get(GROUP, "vnet-westeurope")
        self.assertEqual([subnet.name for subnet in network.subnets], ["default"])
        subnet = self.client.subnets.get(GROUP, "vnet-westeurope", "default")
        self.assertTrue(subnet.network_security_group.id.endswith("/nsg-hard-subnet"))
        self.assertEqual(list(self.client.load_balancers.list_all()), [])

    def test_a_group_of_another_region_is_no_valid_reference(self):
        nics, name = self.client.network_interfaces, "hard-nic-3"
        nic = nics.get("rg-hard-data", name)
        nic.network_security_group = models.NetworkSecurityGroup(id=at(SECURITY, "Microsoft.Network/networkSecurityGroups/none"))
        with self.assertRaises(HttpResponseError) as refused:
            nics.begin_create_or_update("rg-hard-data", name, nic)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (400, "InvalidResourceReference"))
