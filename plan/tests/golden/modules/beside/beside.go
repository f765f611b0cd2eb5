// Package beside takes a header from a folder of no module.
package beside

/*
#cgo CFLAGS: -I${SRCDIR}/../headers
#include "width.h"
*/
import "C"

// Width is how wide it is.
func Width() int { return C.WIDTH }
