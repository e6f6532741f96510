"""Groups, tags, locks, policies and the activity log, by the resource and monitor clients."""

import datetime
import unittest

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.resource import locks as lock_clients
from azure.mgmt.resource import policy as policy_clients
from azure.mgmt.resource import resources as resource_clients
from azure.mgmt.resource import subscriptions as subscription_clients
from azure.mgmt.resource.locks.models import ManagementLockObject
from azure.mgmt.resource.policy.models import ParameterValuesValue, PolicyAssignment, PolicyAssignmentProperties
from azure.mgmt.resource.resources.models import ResourceGroup, Tags, TagsPatchResource, TagsResource

from lab import ARM, LAB, SUBSCRIPTION, arm, at, code, credential, new

WORKLOAD = "rg-workload-prod"


class Resources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = arm(resource_clients.ResourceManagementClient)

    def group(self):
        name = new("rg")
        made = self.client.resource_groups.create_or_update(name, ResourceGroup(location="westeurope", tags={"ir": "1"}))
        self.assertEqual((made.name, made.properties.provisioning_state), (name, "Succeeded"))
        return name

    def test_subscriptions_and_the_tenant_are_listed(self):
        client = subscription_clients.SubscriptionClient(credential(), base_url=ARM, credential_scopes=[f"{ARM}/.default"])
        found = {one.subscription_id: one for one in client.subscriptions.list()}
        self.assertEqual((found[SUBSCRIPTION].display_name, found[SUBSCRIPTION].state), ("contoso-prod", "Enabled"))
        self.assertEqual(client.subscriptions.get(SUBSCRIPTION).id, f"/subscriptions/{SUBSCRIPTION}")
        self.assertEqual([one.tenant_id for one in client.tenants.list()], [LAB["tenant_id"]])

    def test_a_group_is_made_found_listed_and_deleted_to_the_end(self):
        name = self.group()
        groups = self.client.resource_groups
        self.assertTrue(groups.check_existence(name))
        pages = [list(page) for page in groups.list().by_page()]
        self.assertGreater(len(pages), 2)
        self.assertIn(name, [one.name for page in pages for one in page])
        groups.begin_delete(name).result()
        self.assertFalse(groups.check_existence(name))
        with self.assertRaises(ResourceNotFoundError) as refused:
            groups.get(name)
        self.assertEqual(code(refused.exception), "ResourceGroupNotFound")

    def test_resources_are_listed_filtered_and_expanded(self):
        pages = [list(page) for page in self.client.resources.list().by_page()]
        self.assertGreater(len(pages), 10)
        kind = "Microsoft.Compute/virtualMachines"
        machines = list(self.client.resources.list_by_resource_group(WORKLOAD, filter=f"resourceType eq '{kind}'", expand="createdTime"))
        self.assertIn("vm-app-01", [one.name for one in machines])
        self.assertTrue(all(isinstance(one.created_time, datetime.datetime) for one in machines))
        machine = self.client.resources.get_by_id(at(WORKLOAD, f"{kind}/vm-app-01"), api_version="2024-11-01")
        self.assertEqual(machine.properties["provisioningState"], "Succeeded")

    def test_tags_are_merged_replaced_and_taken_away(self):
        scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{self.group()}"
        tags = self.client.tags
        merge = TagsPatchResource(operation="Merge", properties=Tags(tags={"case": "IR-1"}))
        merged = tags.begin_update_at_scope(scope, merge).result()
        self.assertEqual(merged.properties.tags, {"ir": "1", "case": "IR-1"})
        replaced = tags.begin_create_or_update_at_scope(scope, TagsResource(properties=Tags(tags={"a": "b"}))).result()
        self.assertEqual(replaced.properties.tags, {"a": "b"})
        tags.begin_delete_at_scope(scope).result()
        self.assertEqual(tags.get_at_scope(scope).properties.tags, {})

    def test_a_lock_is_set_holds_and_goes(self):
        client = arm(lock_clients.ManagementLockClient).management_locks
        group, body = self.group(), ManagementLockObject(level="CanNotDelete", notes="evidence")
        lock = client.create_or_update_at_resource_group_level(group, "keep", body)
        self.assertEqual((lock.name, lock.level, lock.notes), ("keep", "CanNotDelete", "evidence"))
        with self.assertRaises(HttpResponseError) as refused:
            self.client.resource_groups.begin_delete(group)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (409, "ScopeLocked"))
        self.assertIn("keep", [one.name for one in client.list_at_resource_group_level(group)])
        self.assertGreater(len([list(page) for page in client.list_at_subscription_level().by_page()]), 0)
        client.delete_at_resource_group_level(group, "keep")
        with self.assertRaises(ResourceNotFoundError):
            client.get_at_resource_group_level(group, "keep")
        self.client.resource_groups.begin_delete(group).result()

    def test_a_policy_is_assigned_disallows_and_goes(self):
        client = arm(policy_clients.PolicyClient)
        group = self.group()
        scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"
        definition = client.policy_definitions.get_built_in("e56962a6-4747-49cd-b67b-bf8b01975c4c")
        self.assertEqual((definition.properties.display_name, definition.properties.policy_type), ("Allowed locations", "BuiltIn"))
        body = PolicyAssignment(properties=PolicyAssignmentProperties(
            policy_definition_id=definition.id, display_name="Only north",
            parameters={"listOfAllowedLocations": ParameterValuesValue(value=["northeurope"])},
        ))
        made = client.policy_assignments.create(scope, "only-north", body)
        self.assertEqual((made.name, made.properties.enforcement_mode), ("only-north", "Default"))
        with self.assertRaises(HttpResponseError) as refused:
            nsg = {"location": "westeurope", "properties": {}}
            identity = at(group, "Microsoft.Network/networkSecurityGroups/nsg")
            self.client.resources.begin_create_or_update_by_id(identity, nsg, api_version="2023-11-01")
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (403, "RequestDisallowedByPolicy"))
        self.assertIn("only-north", [one.name for one in client.policy_assignments.list_for_resource_group(group)])
        client.policy_assignments.delete(scope, "only-north")
        with self.assertRaises(ResourceNotFoundError):
            client.policy_assignments.get(scope, "only-north")

    def test_the_activity_log_is_read_over_pages_and_its_filter_is_judged(self):
        client = arm(MonitorManagementClient)
        now = datetime.datetime.now(datetime.timezone.utc)
        since, until = ((now - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (10, 0))
        wanted = f"eventTimestamp ge '{since}' and eventTimestamp le '{until}' and resourceGroupName eq '{WORKLOAD}'"
        pages = client.activity_logs.list(wanted).by_page()
        first = [event for _, page in zip(range(3), pages) for event in page]
        self.assertEqual(len(first), 6)
        self.assertTrue(all(event.event_timestamp and event.operation_name.value and event.caller for event in first))
        with self.assertRaises(HttpResponseError) as refused:
            list(client.activity_logs.list("caller eq 'x'"))
        self.assertEqual(refused.exception.status_code, 400)
