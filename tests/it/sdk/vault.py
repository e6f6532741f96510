"""Secrets and keys of a vault, by azure-keyvault-secrets and azure-keyvault-keys."""

import datetime
import unittest

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient

from lab import JUNIOR, PORT, Wire, credential, new


def client(kind, vault="kv-shop", who=None, **more):
    signed_in = credential(who) if who else credential()
    return kind(f"https://{vault}.vault.localhost:{PORT}", signed_in, **more)


def inner(error):
    return error.error.innererror["code"] if isinstance(error.error.innererror, dict) else error.error.innererror.code


class Vault(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.secrets = client(SecretClient)
        cls.keys = client(KeyClient)

    def test_a_vault_says_which_token_it_wants(self):
        # No other test asks this vault for secrets: a client keeps what a vault has said.
        wire = Wire()
        names = [one.name for one in client(SecretClient, "kv-policy", transport=wire).list_properties_of_secrets()]
        self.assertEqual(names, ["legacy-api"])
        self.assertEqual(wire.told("/secrets"), [(False, 401), (True, 200)])
        challenge = wire.heads[0]["WWW-Authenticate"]
        self.assertIn(f'resource="https://vault.localhost:{PORT}"', challenge)

    def test_a_secret_has_versions_of_which_one_is_disabled(self):
        name, until = new("app"), datetime.datetime(2027, 1, 1, tzinfo=datetime.timezone.utc)
        first = self.secrets.set_secret(name, "one", tags={"incident": "IR-1"}, content_type="password")
        second = self.secrets.set_secret(name, "two", expires_on=until)
        self.assertNotEqual(first.properties.version, second.properties.version)
        self.assertEqual((second.name, second.value, second.properties.expires_on), (name, "two", until))
        changed = self.secrets.update_secret_properties(name, first.properties.version, enabled=False)
        self.assertEqual((changed.enabled, changed.tags, changed.content_type), (False, {"incident": "IR-1"}, "password"))
        versions = {one.version: one for one in self.secrets.list_properties_of_secret_versions(name)}
        self.assertEqual(set(versions), {first.properties.version, second.properties.version})
        self.assertFalse(versions[first.properties.version].enabled)
        self.assertTrue(versions[second.properties.version].created_on)
        with self.assertRaises(HttpResponseError) as refused:
            self.secrets.get_secret(name, first.properties.version)
        self.assertEqual((refused.exception.status_code, inner(refused.exception)), (403, "SecretDisabled"))

    def test_the_value_of_a_secret_is_told_to_nobody(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.secrets.get_secret("shop-db")
        self.assertEqual((refused.exception.status_code, refused.exception.error.code), (501, "NotModelled"))

    def test_secrets_are_listed_over_several_pages(self):
        pages = [list(page) for page in self.secrets.list_properties_of_secrets().by_page()]
        self.assertGreater(len(pages), 1)
        found = {one.name: one for page in pages for one in page}
        self.assertTrue(found["shop-tls"].managed)
        self.assertEqual(found["disk-key-01"].content_type, "Wrapped BEK")

    def test_a_secret_is_deleted_recovered_and_purged(self):
        name = new("gone")
        self.secrets.set_secret(name, "x")
        deleted = self.secrets.begin_delete_secret(name).result()
        self.assertEqual(deleted.name, name)
        self.assertTrue(deleted.recovery_id and deleted.scheduled_purge_date > deleted.deleted_date)
        with self.assertRaises(ResourceNotFoundError) as refused:
            self.secrets.get_secret(name)
        self.assertEqual(refused.exception.error.code, "SecretNotFound")
        with self.assertRaises(ResourceExistsError) as refused:
            self.secrets.set_secret(name, "y")
        self.assertEqual(inner(refused.exception), "ObjectIsDeletedButRecoverable")
        self.assertIn(name, [one.name for one in self.secrets.list_deleted_secrets()])
        self.assertEqual(self.secrets.get_deleted_secret(name).name, name)
        self.assertTrue(self.secrets.begin_recover_deleted_secret(name).result().enabled)
        self.secrets.begin_delete_secret(name).wait()
        self.secrets.purge_deleted_secret(name)
        with self.assertRaises(ResourceNotFoundError):
            self.secrets.get_deleted_secret(name)

    def test_a_key_is_made_read_listed_disabled_rotated_and_deleted(self):
        name = new("key")
        made = self.keys.create_rsa_key(name, size=2048, tags={"incident": "IR-1"})
        self.assertEqual((made.name, made.key_type, len(made.key.n)), (name, "RSA", 256))
        self.assertEqual(made.key.e, b"\x01\x00\x01")
        self.assertTrue(made.id.startswith(f"https://kv-shop.vault.localhost:{PORT}/keys/{name}/"))
        self.assertEqual(self.keys.get_key(name).properties.version, made.properties.version)
        rotated = self.keys.rotate_key(name)
        self.assertNotEqual(rotated.properties.version, made.properties.version)
        off = self.keys.update_key_properties(name, made.properties.version, enabled=False)
        self.assertFalse(off.properties.enabled)
        versions = {one.version: one.enabled for one in self.keys.list_properties_of_key_versions(name)}
        self.assertEqual(versions, {made.properties.version: False, rotated.properties.version: True})
        deleted = self.keys.begin_delete_key(name).result()
        self.assertTrue(deleted.recovery_id)
        self.assertIn(name, [one.name for one in self.keys.list_deleted_keys()])
        self.keys.begin_recover_deleted_key(name).result()
        self.assertEqual(self.keys.get_key(name).name, name)
        self.keys.begin_delete_key(name).wait()
        self.keys.purge_deleted_key(name)
        with self.assertRaises(ResourceNotFoundError) as refused:
            self.keys.get_key(name)
        self.assertEqual(refused.exception.error.code, "KeyNotFound")

    def test_keys_are_listed_over_several_pages(self):
        for number in range(3):
            self.keys.create_ec_key(f"paged-{number}", curve="P-256")
        pages = [list(page) for page in self.keys.list_properties_of_keys().by_page()]
        self.assertGreater(len(pages), 1)
        self.assertLessEqual({f"paged-{number}" for number in range(3)}, {one.name for page in pages for one in page})

    def test_who_has_no_rights_is_told_by_what_they_are_judged(self):
        with self.assertRaises(HttpResponseError) as refused:
            list(client(SecretClient, who=JUNIOR).list_properties_of_secrets())
        self.assertEqual((refused.exception.status_code, inner(refused.exception)), (403, "ForbiddenByRbac"))
        with self.assertRaises(HttpResponseError) as refused:
            list(client(KeyClient, "kv-policy").list_properties_of_keys())
        self.assertEqual((refused.exception.status_code, inner(refused.exception)), (403, "AccessDenied"))
