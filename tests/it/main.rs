//! Integration tests: a file a subject.
