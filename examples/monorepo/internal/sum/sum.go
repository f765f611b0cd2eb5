// Package sum adds 64-bit integers and notices overflow.
//
// Go has no access to the overflow flag of the processor, so the loop is in
// assembly for amd64 and arm64. Other platforms, and builds with -tags=purego,
// use the portable loop of this file.
package sum

import "example.com/shop/internal/fault"

// stride is the size of one element in bytes. The assembly reads it from
// go_asm.h as const_stride.
const stride = 8

// Int64s returns the sum of xs, 0 for an empty slice. It fails with
// [fault.Invalid] when a partial sum, taken from left to right, does not fit
// into 64 bits.
func Int64s(xs []int64) (int64, error) {
	total, ok := sum(xs)
	if !ok {
		return 0, fault.New(fault.Invalid, "sum", "the sum of %d numbers overflows 64 bits", len(xs))
	}
	return total, nil
}

// sumGeneric is the portable form of sum, and what the tests hold it against.
func sumGeneric(xs []int64) (total int64, ok bool) {
	for _, x := range xs {
		next := total + x
		// An overflow is the one case where both operands have the same sign
		// and the result has the other.
		if (total^next)&(x^next) < 0 {
			return 0, false
		}
		total = next
	}
	return total, true
}
