// Package native is half in C.
package native

/*
#cgo CFLAGS: -I${SRCDIR}/include -DFACTOR=2 -DPLACE=${SRCDIR}/place
#cgo LDFLAGS: -L${SRCDIR}/lib -lscript
#include "twice.h"
*/
import "C"

// Twice is computed in C.
func Twice(n int) int { return int(C.twice(C.int(n))) }
