//! Real actions: processes, namespaces, a store on the disk, the Go compiler.

mod farm;
mod go;
mod processes;
mod sandbox;
mod slots;
mod steps;
