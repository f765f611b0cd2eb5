// Package syntax lacks a brace.
package syntax

// Twice returns n two times.
func Twice(n int) int {
	if n == 0 
		return 0
	}
	return n + n
}
