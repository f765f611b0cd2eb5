// Package lib says something.
package lib

// Greeting is what is said.
func Greeting() string { return "hello" + place }
