//! The cloud in general: discovery, credentials, one client.
//!
//! Knows hosts, tokens, retries, throttles, long-running operations and paging of Azure Resource
//! Manager, Microsoft Graph, Key Vault, Log Analytics and Blob storage. Knows no runbook, no journal
//! and no particular resource.
