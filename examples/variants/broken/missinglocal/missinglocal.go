// Package missinglocal imports a package of its own module that does not exist.
package missinglocal

import "example.com/broken/nowhere"

// Name returns its name.
func Name() string { return nowhere.Name }
