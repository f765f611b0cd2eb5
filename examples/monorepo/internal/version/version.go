// Package version knows which release of the shop a binary belongs to.
package version

import "runtime"

// version is set at link time:
//
//	go build -ldflags='-X example.com/shop/internal/version.version=1.4.0' ./cmd/...
var version = "dev"

// String returns the release, "dev" for a build that was given none.
func String() string { return version }

// Long returns the release with the Go version and platform it was built for.
func Long() string {
	return version + " (" + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
