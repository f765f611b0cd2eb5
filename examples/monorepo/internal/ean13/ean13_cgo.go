//go:build cgo

package ean13

/*
// The ASCII codes of '1' and '0': the go command would take the quotes away.
#cgo CFLAGS: -std=c11 -O2 -Wall -DEAN13_DARK=0x31 -DEAN13_LIGHT=0x30
#include "ean13.h"
*/
import "C"

import "unsafe"

// backend names the implementation in use.
const backend = "C"

// checkDigit wants exactly 12 ASCII digits.
func checkDigit(digits string) byte {
	return byte(C.ean13_check_digit(chars(digits)))
}

// modules wants exactly 13 ASCII digits, the last of them right.
func modules(code string) string {
	var out [C.EAN13_MODULES]C.char
	C.ean13_modules(chars(code), &out[0])
	return C.GoStringN(&out[0], C.EAN13_MODULES)
}

// chars passes a string to C without a copy. The C functions read a fixed number
// of characters, need no terminating zero, and keep no pointer.
func chars(s string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s)))
}
