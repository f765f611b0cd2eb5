// Command cgopath prints the height of a wave. Its C header lies in a folder that
// is no Go package, and its C code needs the mathematics library.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/include
#cgo LDFLAGS: -lm
#include "wave.h"
*/
import "C"

import "fmt"

func main() {
	for second := range 4 {
		height := C.wave_height(2, 12, C.double(second))
		fmt.Printf("%d s: %.3f %s\n", second, float64(height), C.WAVE_UNIT)
	}
}
