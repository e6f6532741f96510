"""The directory, by msgraph-sdk."""

import json
import unittest

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.headers_collection import HeadersCollection
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.user import User
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem
from msgraph_core.tasks.page_iterator import PageIterator

from lab import JUNIOR, PORT, credential

HOST = f"graph.localhost:{PORT}"
ALICE = "88888888-8888-4888-8888-888888888801"
PIA = "88888888-8888-4888-8888-888888888805"
DEVELOPERS = "99999999-9999-4999-8999-999999999902"
STAFF = "99999999-9999-4999-8999-999999999903"


def client(who=None):
    signed_in = credential(who) if who else credential()
    provider = AzureIdentityAuthenticationProvider(signed_in, scopes=[f"https://{HOST}/.default"], allowed_hosts=["graph.localhost"])
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"https://{HOST}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def asking(**more):
    return RequestConfiguration(query_parameters=UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(**more))


class Graph(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = client()

    async def every(self, builder, first, headers=None):
        """The items of all pages; a client says its headers again on each."""
        items, again = list(first.value), RequestConfiguration(headers=headers or HeadersCollection())
        while first.odata_next_link:
            first = await builder.with_url(first.odata_next_link).get(request_configuration=again)
            items += first.value
        return items

    async def test_users_are_listed_over_several_pages(self):
        page = await self.client.users.get()
        self.assertEqual(len(page.value), 2)
        names = [user.user_principal_name for user in await self.every(self.client.users, page)]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn("heidi@contoso.com", names)
        seen = []
        iterator = PageIterator(page, self.client.request_adapter)
        await iterator.iterate(lambda user: seen.append(user.user_principal_name) or True)
        self.assertEqual(seen, names)

    async def test_users_are_selected_and_filtered(self):
        found = await self.client.users.get(request_configuration=asking(
            select=["id", "userPrincipalName", "accountEnabled"], filter="userPrincipalName eq 'mona@contoso.com'"))
        self.assertEqual([(user.user_principal_name, user.account_enabled) for user in found.value], [("mona@contoso.com", False)])
        self.assertIsNone(found.value[0].display_name)
        some = await self.client.users.get(request_configuration=asking(filter="startswith(displayName,'Chris')", top=1))
        self.assertEqual(len(some.value), 1)
        self.assertEqual(len(await self.every(self.client.users, some)), 2)

    async def test_users_are_counted_and_ordered_by_an_advanced_query(self):
        configuration = asking(filter="endswith(userPrincipalName,'@contoso.com')", count=True, orderby=["displayName"], select=["displayName"])
        configuration.headers = HeadersCollection()
        configuration.headers.add("ConsistencyLevel", "eventual")
        page = await self.client.users.get(request_configuration=configuration)
        users = await self.every(self.client.users, page, configuration.headers)
        self.assertEqual(page.odata_count, len(users))
        names = [user.display_name for user in users]
        self.assertEqual(names, sorted(names))

    async def test_a_user_is_read_disabled_cut_off_and_enabled(self):
        alice = self.client.users.by_user_id("alice@contoso.com")
        user = await alice.get()
        self.assertEqual((user.id, user.display_name), (ALICE, "Alice Adams"))
        for enabled in [False, True]:
            self.assertIsNone(await alice.patch(User(account_enabled=enabled)))
            shown = await alice.get(request_configuration=asking(select=["accountEnabled", "signInSessionsValidFromDateTime"]))
            self.assertEqual(shown.account_enabled, enabled)
            if not enabled:
                await alice.revoke_sign_in_sessions.post()
                after = await alice.get(request_configuration=asking(select=["signInSessionsValidFromDateTime"]))
                self.assertGreaterEqual(after.sign_in_sessions_valid_from_date_time, shown.sign_in_sessions_valid_from_date_time)

    async def test_sessions_are_revoked_with_and_without_a_word(self):
        # Some tenants answer 200 and true, others 204; of the lab's users both kinds are met.
        said = set()
        for name in ["alice", "bob", "grace", "heidi", "pia", "user"]:
            answer = await self.client.users.by_user_id(f"{name}@contoso.com").revoke_sign_in_sessions.post()
            said.add(answer and answer.value)
        self.assertEqual(said, {None, True})

    async def test_members_of_a_group_are_of_their_own_kinds(self):
        members = await self.client.groups.by_group_id(STAFF).members.get()
        everybody = await self.every(self.client.groups.by_group_id(STAFF).members, members)
        kinds = sorted(type(one).__name__ for one in everybody)
        self.assertEqual(kinds, ["Group", "User", "User"])
        transitive = await self.client.groups.by_group_id(STAFF).transitive_members.get()
        self.assertGreaterEqual(len(transitive.value), 1)
        of_alice = await self.client.users.by_user_id(ALICE).member_of.get()
        self.assertEqual([(type(one).__name__, one.display_name) for one in of_alice.value], [("Group", "all-staff")])

    async def test_a_member_is_added_and_removed(self):
        from msgraph.generated.models.reference_create import ReferenceCreate

        members = self.client.groups.by_group_id(DEVELOPERS).members
        reference = ReferenceCreate(odata_id=f"https://graph.microsoft.com/v1.0/directoryObjects/{ALICE}")
        await members.ref.post(reference)
        with self.assertRaises(ODataError) as refused:
            await members.ref.post(reference)
        self.assertEqual((refused.exception.response_status_code, refused.exception.error.code), (400, "Request_BadRequest"))
        await members.by_directory_object_id(ALICE).ref.delete()
        self.assertNotIn(ALICE, [one.id for one in await self.every(members, await members.get())])

    async def test_errors_are_raised_with_the_services_code(self):
        with self.assertRaises(ODataError) as refused:
            await self.client.users.by_user_id("nobody@contoso.com").get()
        error = refused.exception
        self.assertEqual((error.response_status_code, error.error.code), (404, "Request_ResourceNotFound"))
        self.assertIn("nobody@contoso.com", error.error.message)
        self.assertTrue(error.error.inner_error.request_id and error.error.inner_error.date)
        with self.assertRaises(ODataError) as refused:
            await self.client.users.get(request_configuration=asking(filter="nonsense"))
        self.assertEqual(refused.exception.response_status_code, 400)
        with self.assertRaises(ODataError) as refused:
            await client(JUNIOR).users.by_user_id(PIA).patch(User(account_enabled=False))
        self.assertEqual((refused.exception.response_status_code, refused.exception.error.code), (403, "Authorization_RequestDenied"))

    async def test_a_batch_answers_each_request_by_itself(self):
        adapter = self.client.request_adapter
        right = self.client.users.by_user_id(ALICE).to_get_request_information()
        wrong = self.client.users.by_user_id("nobody@contoso.com").to_get_request_information()
        patch = self.client.users.by_user_id(ALICE).to_patch_request_information(User(account_enabled=True))
        batch = BatchRequestContent()
        for name, one in [("right", right), ("wrong", wrong), ("patch", patch)]:
            batch.add_request(name, BatchRequestItem(request_information=one, id=name))
        answers = await self.client.batch.post(batch_request_content=batch)
        self.assertEqual(answers.get_response_status_codes(), {"right": 200, "wrong": 404, "patch": 204})
        # The client keeps no body that is JSON and not base64, so what came is read here.
        asked = await self.client.batch.to_post_request_information(batch)
        bodies = {one["id"]: one.get("body") for one in json.loads(await adapter.send_primitive_async(asked, "bytes", {}))["responses"]}
        self.assertEqual((bodies["right"]["id"], bodies["patch"]), (ALICE, None))
        self.assertEqual(bodies["wrong"]["error"]["code"], "Request_ResourceNotFound")
        self.assertTrue(bodies["wrong"]["error"]["innerError"]["request-id"])

    async def test_sign_ins_audits_roles_and_applications_are_read(self):
        audits = await self.client.audit_logs.directory_audits.get()
        self.assertTrue(audits.value[0].activity_display_name and audits.value[0].activity_date_time)
        sign_ins = await self.client.audit_logs.sign_ins.get()
        self.assertTrue(sign_ins.value[0].ip_address and sign_ins.value[0].created_date_time)
        roles = await self.client.role_management.directory.role_assignments.get()
        self.assertTrue(roles.value[0].role_definition_id and roles.value[0].principal_id)
        applications = await self.client.applications.get()
        every = await self.every(self.client.applications, applications)
        shop = next(one for one in every if one.display_name == "shop-backend")
        self.assertEqual(len(shop.password_credentials), 2)
        self.assertTrue(shop.password_credentials[0].key_id and shop.password_credentials[0].end_date_time)
        devices = await self.client.users.by_user_id(ALICE).owned_devices.get()
        self.assertEqual([device.display_name for device in devices.value], ["LAPTOP-ALICE"])
        methods = await self.client.users.by_user_id(ALICE).authentication.methods.get()
        self.assertEqual({type(one).__name__ for one in methods.value}, {"PasswordAuthenticationMethod", "MicrosoftAuthenticatorAuthenticationMethod"})
