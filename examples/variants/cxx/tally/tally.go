// Package tally counts words with the C++ standard library.
package tally

// #cgo CXXFLAGS: -std=c++17
// #include "tally.h"
import "C"

import "unsafe"

// Words returns how many different words a text has.
func Words(text string) int {
	return int(C.tally_words((*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.int(len(text))))
}
