// Package cyclehen imports cycleegg, which imports cyclehen.
package cyclehen

import "example.com/broken/cycleegg"

// Age returns the age of a hen in days.
func Age() int { return cycleegg.Age() + 21 }
