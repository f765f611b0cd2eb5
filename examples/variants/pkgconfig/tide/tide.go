// Package tide computes the level of the sea with a C library whose flags
// pkg-config knows: PKG_CONFIG_PATH has to name the folder of tide.pc.
package tide

/*
#cgo pkg-config: tide
#include <tide.h>

// A macro that stands only in tide.pc: without it this file does not compile.
static int station(void) { return TIDE_STATION; }
*/
import "C"

// Station returns the number of the gauge that the levels belong to.
func Station() int { return int(C.station()) }

// Level returns the level in metres, some hours after high water.
func Level(tidalRange, hours float64) float64 {
	return float64(C.tide_level(C.double(tidalRange), C.double(hours)))
}
