// Package good has nothing wrong with it, and nothing to do with the others.
package good

// Answer returns the answer.
func Answer() int { return 42 }
