// Package greet knows how to greet.
package greet

// Line returns a greeting for name, and one for everybody for an empty name.
func Line(name string) string {
	if name == "" {
		name = "everybody"
	}
	return "hello, " + name
}
