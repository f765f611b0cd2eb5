package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := New(NotFound, "look up product", "no product %q", "TEA-1")
	err = Wrap("place order", err)
	err = fmt.Errorf("request 7: %w", err)

	if got := KindOf(err); got != NotFound {
		t.Errorf("KindOf = %v, want %v", got, NotFound)
	}
	want := `request 7: place order: look up product: no product "TEA-1"`
	if err.Error() != want {
		t.Errorf("text = %q, want %q", err, want)
	}
}

func TestCauseStaysVisible(t *testing.T) {
	err := New(Unavailable, "read journal", "truncated: %w", io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("errors.Is does not find the cause of %v", err)
	}
	if Wrap("anything", nil) != nil {
		t.Error("Wrap(nil) is not nil")
	}
}

func TestExitCodeAndAdvice(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{New(Invalid, "op", "x"), 2},
		{New(Unavailable, "op", "x"), 75},
		{New(Conflict, "op", "x"), 1},
		{io.EOF, 1},
	} {
		if got := ExitCode(tc.err); got != tc.code {
			t.Errorf("ExitCode(%v) = %d, want %d", tc.err, got, tc.code)
		}
		if got := Advice(tc.err); (got == "") != (tc.err == nil) {
			t.Errorf("Advice(%v) = %q", tc.err, got)
		}
	}
}
