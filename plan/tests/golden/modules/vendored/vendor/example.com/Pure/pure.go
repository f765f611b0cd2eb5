// Package pure is of Go alone.
package pure

// Name is its name.
const Name = "pure"
