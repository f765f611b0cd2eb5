package money

import (
	"encoding/json"
	"math"
	"testing"

	"example.com/shop/internal/fault"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Amount
		invalid    bool
	}{
		{"cents", "12.50 EUR", New(1250, EUR), false},
		{"one decimal place", "12.5 EUR", New(1250, EUR), false},
		{"whole", "3 USD", New(300, USD), false},
		{"debt", "-0.01 EUR", New(-1, EUR), false},
		{"no minor unit", "700 JPY", New(700, JPY), false},
		{"smallest", "-92233720368547758.08 EUR", New(math.MinInt64, EUR), false},
		{"too large", "92233720368547758.08 EUR", Amount{}, true},
		{"too exact", "1.005 EUR", Amount{}, true},
		{"point without digits", "1. EUR", Amount{}, true},
		{"decimal yen", "1.5 JPY", Amount{}, true},
		{"sign in the fraction", "1.-5 EUR", Amount{}, true},
		{"no currency", "12.50", Amount{}, true},
		{"other currency", "1 XXX", Amount{}, true},
		{"no number", "ten EUR", Amount{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(tc.text)
			if tc.invalid {
				if fault.KindOf(err) != fault.Invalid || err == nil {
					t.Fatalf("Parse(%q) = %v, %v; want an invalid fault", tc.text, got, err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Fatalf("Parse(%q) = %v, %v; want %v", tc.text, got, err, tc.want)
			}
			again, err := Parse(got.String())
			if err != nil || again != got {
				t.Errorf("%v does not survive printing: %v, %v", got, again, err)
			}
		})
	}
}

func TestRateRoundsHalfToEven(t *testing.T) {
	for _, tc := range []struct{ minor, basisPoints, want int64 }{
		{1000, 1900, 190},
		{5, 5000, 2}, // 2.5
		{7, 5000, 4}, // 3.5
		{-5, 5000, -2},
		{-7, 5000, -4},
		{math.MaxInt64, 10_000, math.MaxInt64},
		{math.MinInt64, 10_000, math.MinInt64},
	} {
		got, err := New(tc.minor, EUR).Rate(tc.basisPoints)
		if err != nil || got.Minor != tc.want {
			t.Errorf("%d at %d basis points = %v, %v; want %d", tc.minor, tc.basisPoints, got, err, tc.want)
		}
	}
}

func TestOverflowIsAnError(t *testing.T) {
	most := New(math.MaxInt64, EUR)
	if got, err := Sum(most, New(1, EUR)); err == nil {
		t.Errorf("Sum = %v", got)
	}
	if got, err := most.Times(2); err == nil {
		t.Errorf("Times = %v", got)
	}
	if got, err := most.Rate(10_001); err == nil {
		t.Errorf("Rate = %v", got)
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	if got, err := Sum(New(1, EUR), New(1, USD)); err == nil {
		t.Errorf("Sum = %v", got)
	}
	got, err := Sum(Amount{}, New(2, EUR), New(3, EUR))
	if err != nil || got != New(5, EUR) {
		t.Errorf("Sum = %v, %v; want 0.05 EUR", got, err)
	}
}

func TestJSON(t *testing.T) {
	var got struct{ Price Amount }
	if err := json.Unmarshal([]byte(`{"Price":"4.20 EUR"}`), &got); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil || string(text) != `{"Price":"4.20 EUR"}` {
		t.Errorf("round trip gave %s, %v", text, err)
	}
}

// TestSplitLosesNothing tries every amount of up to 40 euros with every number
// of parts of up to 100. It takes about a second: skip it with -short.
func TestSplitLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive")
	}
	for minor := int64(-4000); minor <= 4000; minor++ {
		for n := 1; n <= 100; n++ {
			amount := New(minor, EUR)
			parts, err := amount.Split(n)
			if err != nil {
				t.Fatal(err)
			}
			if total, err := Sum(parts...); err != nil || total != amount {
				t.Fatalf("%v in %d parts adds up to %v, %v", amount, n, total, err)
			}
			if spread := parts[0].Minor - parts[n-1].Minor; spread < -1 || spread > 1 {
				t.Fatalf("%v in %d parts: %v to %v", amount, n, parts[0], parts[n-1])
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("1234567.89 EUR"); err != nil {
			b.Fatal(err)
		}
	}
}
