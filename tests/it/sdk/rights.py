"""Role assignments, definitions, permissions and eligibilities, by azure-mgmt-authorization."""

import unittest
import uuid

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters

from lab import JUNIOR, SUBSCRIPTION, arm, code

SCOPE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-workload-prod"
READER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
BOB = "88888888-8888-4888-8888-888888888809"


class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = arm(AuthorizationManagementClient)

    def test_a_role_is_assigned_once_read_listed_and_taken_away(self):
        assignments, name = self.client.role_assignments, str(uuid.uuid4())
        body = RoleAssignmentCreateParameters(role_definition_id=READER, principal_id=BOB, principal_type="User")
        made = assignments.create(SCOPE, name, body)
        self.assertEqual((made.name, made.principal_id, made.scope), (name, BOB, SCOPE))
        with self.assertRaises(ResourceExistsError) as refused:
            assignments.create(SCOPE, str(uuid.uuid4()), body)
        self.assertEqual(code(refused.exception), "RoleAssignmentExists")
        self.assertEqual(assignments.get(SCOPE, name).role_definition_id, READER)
        self.assertEqual(assignments.get_by_id(made.id).principal_type, "User")
        of_bob = assignments.list_for_scope(SCOPE, filter=f"principalId eq '{BOB}'")
        self.assertIn(name, [one.name for one in of_bob])
        self.assertEqual(assignments.delete(SCOPE, name).name, name)
        self.assertIsNone(assignments.delete(SCOPE, name))
        with self.assertRaises(ResourceNotFoundError) as refused:
            assignments.get(SCOPE, name)
        self.assertEqual(code(refused.exception), "RoleAssignmentNotFound")

    def test_assignments_are_listed_over_several_pages(self):
        pages = [list(page) for page in self.client.role_assignments.list_for_subscription().by_page()]
        self.assertGreater(len(pages), 2)
        self.assertTrue(all(one.role_definition_id and one.principal_id for page in pages for one in page))

    def test_definitions_are_read_and_found_by_name(self):
        found = list(self.client.role_definitions.list(SCOPE, filter="roleName eq 'Reader'"))
        self.assertEqual([(one.role_name, one.permissions[0].actions) for one in found], [("Reader", ["*/read"])])
        self.assertEqual(self.client.role_definitions.get_by_id(READER).role_type, "BuiltInRole")

    def test_what_the_caller_may_do_is_listed(self):
        actions = [action for one in self.client.permissions.list_for_resource_group("rg-workload-prod") for action in one.actions]
        self.assertIn("*", actions)

    def test_deny_assignments_and_eligibilities_are_listed(self):
        self.assertIsInstance(list(self.client.deny_assignments.list_for_scope(SCOPE)), list)
        self.assertIsInstance(list(self.client.role_eligibility_schedule_instances.list_for_scope(SCOPE)), list)

    def test_who_has_no_rights_assigns_none(self):
        body = RoleAssignmentCreateParameters(role_definition_id=READER, principal_id=BOB)
        with self.assertRaises(HttpResponseError) as refused:
            arm(AuthorizationManagementClient, JUNIOR).role_assignments.create(SCOPE, str(uuid.uuid4()), body)
        self.assertEqual((refused.exception.status_code, code(refused.exception)), (403, "AuthorizationFailed"))
