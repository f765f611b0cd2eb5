package greet

import "testing"

func TestLine(t *testing.T) {
	for name, want := range map[string]string{"": "hello, everybody", "Ada": "hello, Ada"} {
		if got := Line(name); got != want {
			t.Errorf("Line(%q) = %q, want %q", name, got, want)
		}
	}
}
