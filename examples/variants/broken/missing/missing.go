// Package missing imports a package of a module that go.mod does not require.
package missing

import "example.net/absent/thing"

// Name returns its name.
func Name() string { return thing.Name }
