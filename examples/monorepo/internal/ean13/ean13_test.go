package ean13

import (
	"strings"
	"testing"

	"example.com/shop/internal/fault"
)

func TestCheckDigit(t *testing.T) {
	t.Logf("implementation: %s", backend)
	for _, code := range []string{"4006381333931", "5901234123457", "9780201379624", "0000000000000"} {
		got, err := CheckDigit(code[:12])
		if err != nil || got != code[12] {
			t.Errorf("CheckDigit(%s) = %c, %v; want %c", code[:12], got, err, code[12])
		}
	}
}

// TestEncode compares with bar codes drawn by hand from the tables of the
// standard: 5 as the first digit means LGGLLG on the left, 0 means LLLLLL.
func TestEncode(t *testing.T) {
	for code, want := range map[string]string{
		"5901234123457": "101 0001011 0100111 0110011 0010011 0111101 0011101 01010" +
			" 1100110 1101100 1000010 1011100 1001110 1000100 101",
		"0000000000000": "101" + strings.Repeat(" 0001101", 6) + " 01010" + strings.Repeat(" 1110010", 6) + " 101",
	} {
		got, err := Encode(code)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(want, " ", ""); got != want {
			t.Errorf("Encode(%s)\n got %s\nwant %s", code, got, want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, code := range []string{"", "400638133393", "4006381333932", "40063813339-1", "４006381333"} {
		if got, err := Encode(code); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("Encode(%q) = %q, %v; want an invalid fault", code, got, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for b.Loop() {
		if _, err := Encode("5901234123457"); err != nil {
			b.Fatal(err)
		}
	}
}
