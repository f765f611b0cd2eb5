// Package typesales assigns a string to a number and uses a name that is not there.
package typesales

// Count returns how many were sold.
func Count() int {
	var n int = "three"
	return n + returned
}
