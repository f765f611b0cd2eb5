//go:build !cgo

package ean13

import "math/bits"

// backend names the implementation in use.
const backend = "Go"

const (
	digitModules = 7
	half         = 6
)

// setL holds the seven modules of each digit in set L, most significant bit
// first. Set R is its complement, and set G is set R read backwards.
var setL = [10]uint8{0x0d, 0x19, 0x13, 0x3d, 0x23, 0x31, 0x2f, 0x3b, 0x37, 0x0b}

// leftInG has a bit for each of the six digits of the left half, most significant
// first: the first digit of a code, which is not drawn, chooses those in set G.
var leftInG = [10]uint8{0x00, 0x0b, 0x0d, 0x0e, 0x13, 0x19, 0x1c, 0x15, 0x16, 0x1a}

func setR(digit byte) uint8 { return ^setL[digit] & 0x7f }

func setG(digit byte) uint8 { return bits.Reverse8(setR(digit)) >> 1 }

// checkDigit wants exactly 12 ASCII digits.
func checkDigit(digits string) byte {
	total := 0
	for i := range len(digits) {
		weight := 1 + i%2*2
		total += int(digits[i]-'0') * weight
	}
	return byte('0' + (10-total%10)%10)
}

// modules wants exactly 13 ASCII digits, the last of them right.
func modules(code string) string {
	out := make([]byte, 0, Modules)
	draw := func(modules uint8, count int) {
		for i := count - 1; i >= 0; i-- {
			out = append(out, '0'+modules>>i&1)
		}
	}
	inG := leftInG[code[0]-'0']
	draw(0b101, 3)
	for i := range half {
		digit := code[1+i] - '0'
		if inG>>(half-1-i)&1 == 1 {
			draw(setG(digit), digitModules)
		} else {
			draw(setL[digit], digitModules)
		}
	}
	draw(0b01010, 5)
	for i := range half {
		draw(setR(code[1+half+i]-'0'), digitModules)
	}
	draw(0b101, 3)
	return string(out)
}
