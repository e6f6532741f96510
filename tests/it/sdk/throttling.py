"""A lab that gives out few requests: the client's own retry policy waits as long as it is told to."""

import time
import unittest

from azure.core.exceptions import HttpResponseError
from azure.mgmt.resource.resources import ResourceManagementClient

from lab import Wire, arm, code


class Throttling(unittest.TestCase):
    def test_a_refused_request_is_sent_again_after_what_retry_after_says(self):
        wire = Wire()
        client = arm(ResourceManagementClient, transport=wire)
        began, asked = time.monotonic(), 0
        while 429 not in [status for _, _, status in wire.tries]:
            asked += 1
            self.assertLess(asked, 50)
            client.resource_groups.get("rg-workload-prod")
        statuses = [status for _, _, status in wire.tries]
        waited = int(wire.heads[statuses.index(429)]["Retry-After"])
        self.assertGreaterEqual(time.monotonic() - began, waited)
        self.assertEqual(statuses[-2:], [429, 200])

    def test_who_does_not_try_again_sees_the_services_code(self):
        client = arm(ResourceManagementClient, retry_total=0)
        with self.assertRaises(HttpResponseError) as refused:
            for _ in range(50):
                client.resource_groups.get("rg-workload-prod")
        error = refused.exception
        self.assertEqual((error.status_code, code(error)), (429, "SubscriptionRequestsThrottled"))
        self.assertGreater(int(error.response.headers["Retry-After"]), 0)
