"""Blobs, by azure-storage-blob."""

import unittest

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, BlobType, ContentSettings

from lab import JUNIOR, PORT, credential, new

ACCOUNT = f"https://stforensicirprodweu.blob.localhost:{PORT}"


class Blob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = BlobServiceClient(ACCOUNT, credential())
        cls.container = cls.service.get_container_client(new("work"))
        cls.container.create_container(metadata={"case": "ir1"})

    def test_a_container_is_made_once_and_shown(self):
        with self.assertRaises(ResourceExistsError) as refused:
            self.container.create_container()
        self.assertEqual(refused.exception.error_code, "ContainerAlreadyExists")
        shown = self.container.get_container_properties()
        self.assertEqual((shown.name, shown.metadata, shown.public_access), (self.container.container_name, {"case": "ir1"}, None))
        self.assertTrue(shown.etag and shown.last_modified)
        self.assertFalse(shown.has_immutability_policy or shown.has_legal_hold)
        evidence = self.service.get_container_client("ir-evidence").get_container_properties()
        self.assertTrue(evidence.has_immutability_policy)
        self.assertTrue(self.container.exists())
        self.assertFalse(self.service.get_container_client("none").exists())

    def test_a_blob_is_uploaded_once_read_whole_and_in_part(self):
        blob, text = self.container.get_blob_client("a/report.json"), b'{"case": "IR-1"}' * 100
        made = blob.upload_blob(text, metadata={"sha": "x"}, content_settings=ContentSettings(content_type="application/json"), validate_content=True)
        self.assertTrue(made["etag"] and made["last_modified"] and made["request_server_encrypted"])
        with self.assertRaises(ResourceExistsError) as refused:
            blob.upload_blob(b"other")
        self.assertEqual((refused.exception.status_code, refused.exception.error_code), (409, "BlobAlreadyExists"))
        shown = blob.get_blob_properties()
        self.assertEqual((shown.size, shown.metadata, shown.blob_type), (len(text), {"sha": "x"}, BlobType.BLOCKBLOB))
        self.assertEqual(shown.content_settings.content_type, "application/json")
        self.assertEqual(len(shown.content_settings.content_md5), 16)
        self.assertEqual(shown.etag, made["etag"])
        self.assertTrue(shown.creation_time and shown.server_encrypted)
        self.assertEqual(blob.download_blob(validate_content=True).readall(), text)
        self.assertEqual(blob.download_blob(offset=16, length=16, validate_content=True).readall(), text[16:32])
        self.assertEqual(blob.download_blob(offset=len(text) - 4, length=100).readall(), text[-4:])
        replaced = blob.upload_blob(b"new", overwrite=True)
        with self.assertRaises(ResourceModifiedError):
            blob.upload_blob(b"newer", overwrite=True, etag=made["etag"], match_condition=MatchConditions.IfNotModified)
        blob.upload_blob(b"newest", overwrite=True, etag=replaced["etag"], match_condition=MatchConditions.IfNotModified)
        self.assertEqual(blob.download_blob().readall(), b"newest")

    def test_an_empty_blob_is_read_as_one(self):
        blob = self.container.get_blob_client("empty")
        blob.upload_blob(b"")
        self.assertEqual(blob.download_blob().readall(), b"")
        self.assertEqual(blob.get_blob_properties().size, 0)

    def test_a_large_blob_goes_up_in_blocks_and_comes_down_in_ranges(self):
        service = BlobServiceClient(ACCOUNT, credential(), max_single_put_size=1024, max_block_size=1024, max_single_get_size=1500, max_chunk_get_size=700)
        blob, text = service.get_blob_client(self.container.container_name, "large"), bytes(range(256)) * 17
        made = blob.upload_blob(text, validate_content=True)
        self.assertTrue(made["etag"])
        self.assertEqual(blob.download_blob(validate_content=True).readall(), text)
        self.assertEqual(blob.get_blob_properties().size, len(text))
        committed, waiting = blob.get_block_list("all")
        self.assertEqual((len(committed), len(waiting)), (5, 0))

    def test_appends_go_where_they_are_expected(self):
        blob = self.container.get_blob_client("log")
        blob.create_append_blob()
        first = blob.append_block(b"one\n", appendpos_condition=0)
        self.assertEqual((first["blob_append_offset"], first["blob_committed_block_count"]), ("0", 1))
        self.assertEqual(blob.append_block(b"two\n", appendpos_condition=4, validate_content=True)["blob_append_offset"], "4")
        with self.assertRaises(HttpResponseError) as refused:
            blob.append_block(b"two\n", appendpos_condition=4)
        self.assertEqual((refused.exception.status_code, refused.exception.error_code), (412, "AppendPositionConditionNotMet"))
        with self.assertRaises(HttpResponseError) as refused:
            blob.append_block(b"three\n", maxsize_condition=10)
        self.assertEqual(refused.exception.error_code, "MaxBlobSizeConditionNotMet")
        self.assertEqual(blob.download_blob().readall(), b"one\ntwo\n")
        shown = blob.get_blob_properties()
        self.assertEqual((shown.blob_type, shown.append_blob_committed_block_count), (BlobType.APPENDBLOB, 2))
        with self.assertRaises(ResourceExistsError):
            self.container.get_blob_client("log").upload_blob(b"x")

    def test_blobs_are_listed_over_pages_by_prefix_and_as_folders(self):
        for name in ["walk/a/1", "walk/a/2", "walk/b/1", "walk/c", "walk/ü & <x>"]:
            self.container.upload_blob(name, b"x", metadata={"n": "1"})
        listed = self.container.list_blobs(name_starts_with="walk/", results_per_page=2, include=["metadata"])
        pages = [list(page) for page in listed.by_page()]
        self.assertEqual([len(page) for page in pages], [2, 2, 1])
        blobs = [blob for page in pages for blob in page]
        self.assertEqual(sorted(blob.name for blob in blobs), [blob.name for blob in blobs])
        self.assertIn("walk/ü & <x>", [blob.name for blob in blobs])
        one = blobs[0]
        self.assertEqual((one.size, one.metadata, one.blob_type, one.container), (1, {"n": "1"}, "BlockBlob", self.container.container_name))
        self.assertTrue(one.etag and one.last_modified and one.creation_time and one.content_settings.content_md5)
        folders = [item.name for item in self.container.walk_blobs(name_starts_with="walk/")]
        self.assertEqual(sorted(folders), ["walk/a/", "walk/b/", "walk/c", "walk/ü & <x>"])
        self.assertEqual(len(list(self.container.list_blobs(results_per_page=3))), len({blob.name for blob in self.container.list_blobs()}))

    def test_a_blob_is_deleted_and_then_not_found(self):
        blob = self.container.get_blob_client("gone")
        blob.upload_blob(b"x")
        self.assertTrue(blob.exists())
        blob.delete_blob()
        self.assertFalse(blob.exists())
        for ask in [blob.get_blob_properties, blob.download_blob, blob.delete_blob]:
            with self.assertRaises(ResourceNotFoundError) as refused:
                ask()
            self.assertEqual(refused.exception.error_code, "BlobNotFound")
        with self.assertRaises(ResourceNotFoundError) as refused:
            self.service.get_blob_client("none", "x").upload_blob(b"x")
        self.assertEqual(refused.exception.error_code, "ContainerNotFound")

    def test_what_a_locked_policy_keeps_stays_as_it_is(self):
        evidence = self.service.get_container_client("ir-evidence")
        blob = evidence.get_blob_client(new("proof"))
        blob.upload_blob(b"proof")
        for change in [lambda: blob.upload_blob(b"other", overwrite=True), blob.delete_blob, lambda: blob.set_blob_metadata({"a": "b"})]:
            with self.assertRaises(HttpResponseError) as refused:
                change()
            self.assertEqual((refused.exception.status_code, refused.exception.error_code), (409, "BlobImmutableDueToPolicy"))
        log = evidence.get_blob_client(new("log"))
        log.create_append_blob()
        log.append_block(b"one\n", appendpos_condition=0)
        closed = self.service.get_container_client("ir-no-append").get_blob_client(new("log"))
        closed.create_append_blob()
        with self.assertRaises(HttpResponseError) as refused:
            closed.append_block(b"x")
        self.assertEqual(refused.exception.error_code, "BlobImmutableDueToPolicy")

    def test_what_a_legal_hold_keeps_stays_as_it_is(self):
        blob = self.service.get_blob_client("ir-held", new("proof"))
        blob.upload_blob(b"proof")
        for change in [lambda: blob.upload_blob(b"other", overwrite=True), blob.delete_blob]:
            with self.assertRaises(HttpResponseError) as refused:
                change()
            self.assertEqual(refused.exception.error_code, "BlobImmutableDueToPolicy")
        self.assertTrue(self.service.get_container_client("ir-held").get_container_properties().has_legal_hold)

    def test_who_has_no_rights_on_data_is_told_so(self):
        blob = BlobServiceClient(ACCOUNT, credential(JUNIOR)).get_blob_client("ir-evidence", "x")
        with self.assertRaises(HttpResponseError) as refused:
            blob.upload_blob(b"x")
        self.assertEqual((refused.exception.status_code, refused.exception.error_code), (403, "AuthorizationPermissionMismatch"))

    def test_copies_are_refused_and_not_made_up(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.container.get_blob_client("copy").start_copy_from_url(f"{ACCOUNT}/x/y")
        self.assertEqual((refused.exception.status_code, refused.exception.error_code), (501, "NotModelled"))
