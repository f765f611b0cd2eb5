// Package ean13 draws EAN-13 bar codes.
//
// With cgo the drawing is done by the C file of this package, which a label
// printer's firmware could use as it stands. Without cgo a Go version of it
// does the same; the tests hold both to the same results.
package ean13

import "example.com/shop/internal/fault"

const (
	// Digits is the length of a code, with its check digit.
	Digits = 13
	// Modules is the width of a bar code in modules, the width of the thinnest bar.
	Modules = 95
)

// Encode returns the bar code of a 13-digit code as a string of [Modules]
// characters, '1' for a dark module and '0' for a light one. A code with a wrong
// check digit is [fault.Invalid].
func Encode(code string) (string, error) {
	const op = "encode EAN-13"
	if len(code) != Digits {
		return "", fault.New(fault.Invalid, op, "%q has %d characters, not %d", code, len(code), Digits)
	}
	check, err := CheckDigit(code[:Digits-1])
	if err != nil {
		return "", fault.Wrap(op, err)
	}
	if code[Digits-1] != check {
		return "", fault.New(fault.Invalid, op, "%q should end with the check digit %c", code, check)
	}
	return modules(code), nil
}

// CheckDigit returns the last digit of the code that starts with these 12 digits.
func CheckDigit(digits string) (byte, error) {
	const op = "compute check digit"
	if len(digits) != Digits-1 {
		return 0, fault.New(fault.Invalid, op, "%q has %d characters, not %d", digits, len(digits), Digits-1)
	}
	for _, r := range digits {
		if r < '0' || r > '9' {
			return 0, fault.New(fault.Invalid, op, "%q contains %q, which is not a digit", digits, r)
		}
	}
	return checkDigit(digits), nil
}
