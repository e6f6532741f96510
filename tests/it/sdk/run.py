"""Runs the tests of a room, and writes one line for each: its name, and how it ended."""

import importlib
import sys
import unittest


class Lines(unittest.TestResult):
    def line(self, test, outcome, why=""):
        name = test.id().rsplit(".", 1)[1]
        print(f"{outcome} {name}", why, sep="\n" if why else "", flush=True)

    def addSuccess(self, test):
        self.line(test, "passed")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.line(test, "failed", self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.line(test, "failed", self.errors[-1][1])

    def addSkip(self, test, reason):
        self.line(test, "skipped", reason)

    def addExpectedFailure(self, test, error):
        self.line(test, "skipped", "it was expected to fail")

    def addUnexpectedSuccess(self, test):
        self.line(test, "failed", "it was expected to fail")

    def addSubTest(self, test, subtest, error):
        if error:
            self.line(test, "failed", self._exc_info_to_string(error, test))


module = importlib.import_module(sys.argv[1])
tests = unittest.TestLoader()
if len(sys.argv) > 2:
    tests.testNamePatterns = [f"*{sys.argv[2]}*"]
tests.loadTestsFromModule(module).run(Lines())
