//! The service `gofarm.v1.Blobs`.
