// Package cycleegg imports cyclehen, which imports cycleegg.
package cycleegg

import "example.com/broken/cyclehen"

// Age returns the age of an egg in days.
func Age() int { return cyclehen.Age() - 21 }
