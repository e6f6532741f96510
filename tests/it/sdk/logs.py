"""Queries of a workspace, by azure-monitor-query."""

import datetime
import unittest

from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsBatchQuery, LogsQueryClient, LogsQueryError, LogsQueryPartialResult, LogsQueryResult, LogsQueryStatus

from lab import JUNIOR, PORT, at, credential

WORKSPACE = "abababab-abab-4bab-8bab-abababababab"
# The lab is told to answer this one in part.
LARGE = "acacacac-acac-4cac-8cac-acacacacacac"
DAY = datetime.timedelta(days=1)
SIGN_INS = "SigninLogs | where UserPrincipalName == 'heidi@contoso.com' | project TimeGenerated, IPAddress, IsInteractive, LocationDetails"


def client(who=None):
    signed_in = credential(who) if who else credential()
    return LogsQueryClient(signed_in, endpoint=f"https://api.loganalytics.localhost:{PORT}")


class Logs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = client()

    def test_a_query_answers_with_typed_columns(self):
        found = self.client.query_workspace(WORKSPACE, SIGN_INS, timespan=DAY)
        self.assertIsInstance(found, LogsQueryResult)
        self.assertEqual(found.status, LogsQueryStatus.SUCCESS)
        table = found.tables[0]
        self.assertEqual((table.name, table.columns_types), ("PrimaryResult", ["datetime", "string", "bool", "dynamic"]))
        self.assertGreater(len(table.rows), 1)
        row = table.rows[0]
        self.assertIsInstance(row["TimeGenerated"], datetime.datetime)
        self.assertIsInstance(row["LocationDetails"], str)
        now = datetime.datetime.now(datetime.timezone.utc)
        between = self.client.query_workspace(WORKSPACE, SIGN_INS, timespan=(now - DAY, now))
        self.assertEqual(len(between.tables[0].rows), len(table.rows))
        self.assertEqual(self.client.query_workspace(WORKSPACE, SIGN_INS, timespan=(now - 90 * DAY, DAY)).tables[0].rows, [])
        everything = self.client.query_workspace(WORKSPACE, SIGN_INS, timespan=None)
        self.assertGreaterEqual(len(everything.tables[0].rows), len(table.rows))

    def test_a_query_by_the_id_of_the_workspace_answers_the_same(self):
        workspace = at("rg-security-prod", "Microsoft.OperationalInsights/workspaces/law-security-prod")
        found = self.client.query_resource(workspace, "SigninLogs | count", timespan=DAY)
        by_id = self.client.query_workspace(WORKSPACE, "SigninLogs | count", timespan=DAY)
        self.assertEqual(found.tables[0].columns_types, ["long"])
        self.assertEqual(found.tables[0].rows[0][0], by_id.tables[0].rows[0][0])

    def test_what_is_no_query_is_refused_as_the_service_refuses_it(self):
        for query, told, number in [
            ("SigninLogs | where", "SyntaxError", "SYN"),
            ("NoSuchTable | take 1", "SemanticError", "SEM0100"),
            ("SigninLogs | project NoSuchColumn", "SemanticError", "SEM0100"),
        ]:
            with self.assertRaises(HttpResponseError) as refused:
                self.client.query_workspace(WORKSPACE, query, timespan=DAY)
            error = refused.exception
            self.assertEqual((error.status_code, error.error.code), (400, "BadArgumentError"), query)
            self.assertEqual(error.error.innererror["code"], told, query)
            self.assertTrue(error.error.innererror["innererror"]["code"].startswith(number), query)

    def test_a_batch_answers_each_query_by_itself(self):
        asked = [
            LogsBatchQuery(workspace_id=WORKSPACE, query="SigninLogs | count", timespan=DAY),
            LogsBatchQuery(workspace_id=WORKSPACE, query="SigninLogs | where", timespan=DAY),
            LogsBatchQuery(workspace_id="00000000-0000-4000-8000-000000000000", query="SigninLogs", timespan=DAY),
            LogsBatchQuery(workspace_id=WORKSPACE, query="AuditLogs | take 1", timespan=None),
        ]
        first, second, third, fourth = self.client.query_batch(asked)
        self.assertGreater(first.tables[0].rows[0][0], 0)
        self.assertIsInstance(second, LogsQueryError)
        self.assertEqual((second.code, second.status), ("BadArgumentError", LogsQueryStatus.FAILURE))
        self.assertIsInstance(third, LogsQueryError)
        self.assertEqual(len(fourth.tables[0].rows), 1)

    def test_a_result_that_is_too_large_is_partial_and_says_so(self):
        query = "AzureActivity | project TimeGenerated"
        found = self.client.query_workspace(LARGE, query, timespan=None)
        self.assertIsInstance(found, LogsQueryPartialResult)
        self.assertEqual(found.status, LogsQueryStatus.PARTIAL)
        self.assertEqual(found.partial_error.code, "PartialError")
        self.assertGreater(len(found.partial_data[0].rows), 0)
        batch = self.client.query_batch([LogsBatchQuery(workspace_id=LARGE, query=query, timespan=None)])
        self.assertIsInstance(batch[0], LogsQueryPartialResult)

    def test_who_may_not_read_the_workspace_is_told_so(self):
        with self.assertRaises(HttpResponseError) as refused:
            client(JUNIOR).query_workspace(WORKSPACE, "SigninLogs", timespan=DAY)
        self.assertEqual((refused.exception.status_code, refused.exception.error.code), (403, "InsufficientAccessError"))

    def test_a_workspace_that_is_not_there_is_not_found(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.client.query_workspace("00000000-0000-4000-8000-000000000000", "SigninLogs", timespan=DAY)
        self.assertEqual((refused.exception.status_code, refused.exception.error.code), (404, "WorkspaceNotFoundError"))

    def test_statistics_are_refused_and_not_made_up(self):
        with self.assertRaises(HttpResponseError) as refused:
            self.client.query_workspace(WORKSPACE, SIGN_INS, timespan=DAY, include_statistics=True)
        self.assertEqual(refused.exception.status_code, 501)
