// Package dependent is right, but imports typesales, which does not compile.
package dependent

import (
	"example.com/broken/good"
	"example.com/broken/typesales"
)

// Sum adds up.
func Sum() int { return good.Answer() + typesales.Count() }
