// Package fault classifies the errors of the shop by who has to act on them.
//
// It stands at the bottom of the module: every package that can fail imports
// it, and it imports nothing but the standard library. The kind of an error
// decides the HTTP status in [example.com/shop/internal/httpapi] and the exit
// code of each command.
package fault

import (
	"errors"
	"fmt"
)

// Kind says who has to act on an error.
type Kind int

const (
	// Internal is a bug of the shop, and the kind of every error that this
	// package did not make.
	Internal Kind = iota
	// Invalid is input that can never work: the caller has to change it.
	Invalid
	// NotFound is a name that nothing answers to.
	NotFound
	// Conflict is a request that was valid, but not in the present state.
	Conflict
	// Unavailable is trouble that may pass: the same request may work later.
	Unavailable
)

var kindNames = [...]string{
	Internal:    "internal",
	Invalid:     "invalid",
	NotFound:    "not found",
	Conflict:    "conflict",
	Unavailable: "unavailable",
}

// String returns the kind in lower case words.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kindNames[k]
}

// Error is an error with a kind and the operation that failed.
type Error struct {
	Kind Kind
	// Op is what was tried, such as "parse amount".
	Op string
	// Err is the cause and never nil.
	Err error
}

// Error returns "op: cause".
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause, so that errors.Is and errors.As see it.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of the given kind. The format and its arguments describe
// the cause, as in [fmt.Errorf]; %w wraps.
func New(kind Kind, op, format string, args ...any) error {
	return &Error{Kind: kind, Op: op, Err: fmt.Errorf(format, args...)}
}

// Wrap adds an operation to err and keeps the kind that err has. It returns nil
// for a nil error.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, Err: err}
}

// KindOf returns the kind of the outermost [Error] in the chain of err, and
// [Internal] where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Advice returns one sentence that tells the user what to do about err, and the
// empty string for a nil error. The commands print it under the error.
func Advice(err error) string {
	if err == nil {
		return ""
	}
	// The sentences live in this body, not in a package variable: editing one
	// changes the code of this package and nothing that its importers see.
	switch kind := KindOf(err); kind {
	case Invalid:
		return "correct the input and try again"
	case NotFound:
		return "check the name for a typing error"
	case Conflict:
		return "look at the present state first, then decide"
	case Unavailable:
		return "wait a moment and try again"
	default:
		return fmt.Sprintf("this is a bug of the shop (%v), please report it", kind)
	}
}

// ExitCode returns the exit code with which a command ends after err: 0 for
// nil, 2 for invalid input as the flag package does, 75 (EX_TEMPFAIL of
// sysexits.h) where trying again may help, and 1 for the rest.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	switch KindOf(err) {
	case Invalid:
		return 2
	case Unavailable:
		return 75
	default:
		return 1
	}
}
