#!/bin/sh
# Starts a tool of Go, behind two arguments of its own.
shift 2
exec "$@"
