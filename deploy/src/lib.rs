//! The farm is deployed by files at the root of the repository: `Dockerfile`, `docker-compose.yml` and the chart `helm/gofarm`.
//!
//! The tests of this crate read them as Docker, Compose and Kubernetes do, as far as a machine without those allows:
//! with Helm itself, with the library that Compose reads its files with, and with the types of the Kubernetes API. They
//! compare what they find with what the programs accept, and start the processes of the compose file as it says.
