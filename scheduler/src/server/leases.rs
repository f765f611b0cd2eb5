//! The service `gofarm.v1.Leases`.
