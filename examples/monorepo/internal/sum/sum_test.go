package sum

import (
	"math"
	"math/rand/v2"
	"testing"

	"example.com/shop/internal/fault"
)

func TestInt64s(t *testing.T) {
	for name, tc := range map[string]struct {
		xs       []int64
		want     int64
		overflow bool
	}{
		"nothing":             {nil, 0, false},
		"one":                 {[]int64{-7}, -7, false},
		"mixed signs":         {[]int64{5, -8, 1}, -2, false},
		"up to the maximum":   {[]int64{math.MaxInt64 - 1, 1}, math.MaxInt64, false},
		"past the maximum":    {[]int64{math.MaxInt64, 1}, 0, true},
		"past the minimum":    {[]int64{math.MinInt64, -1}, 0, true},
		"overflow and back":   {[]int64{math.MaxInt64, 1, -1}, 0, true},
		"extremes cancel":     {[]int64{math.MaxInt64, math.MinInt64, 1}, 0, false},
		"minimum plus itself": {[]int64{math.MinInt64, math.MinInt64}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Int64s(tc.xs)
			if (err != nil) != tc.overflow || got != tc.want {
				t.Fatalf("Int64s(%v) = %d, %v", tc.xs, got, err)
			}
			if err != nil && fault.KindOf(err) != fault.Invalid {
				t.Errorf("kind = %v, want %v", fault.KindOf(err), fault.Invalid)
			}
		})
	}
}

// TestAgreesWithPortableLoop holds the assembly against the Go loop on numbers
// large enough that about half of the slices overflow.
func TestAgreesWithPortableLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	overflows := 0
	for range 20_000 {
		xs := make([]int64, rng.IntN(12))
		for i := range xs {
			xs[i] = int64(rng.Uint64())
		}
		got, ok := sum(xs)
		want, wantOK := sumGeneric(xs)
		if got != want || ok != wantOK {
			t.Fatalf("sum(%v) = %d, %v; the portable loop says %d, %v", xs, got, ok, want, wantOK)
		}
		if !ok {
			overflows++
		}
	}
	if overflows == 0 {
		t.Error("no slice overflowed, the test compares too little")
	}
}

func BenchmarkSum(b *testing.B) {
	xs := make([]int64, 4096)
	for i := range xs {
		xs[i] = int64(i)
	}
	for name, f := range map[string]func([]int64) (int64, bool){"native": sum, "portable": sumGeneric} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(xs)) * stride)
			for b.Loop() {
				f(xs)
			}
		})
	}
}
