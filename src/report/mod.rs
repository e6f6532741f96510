//! What a case folder says, without the cloud: from journal and evidence alone.
