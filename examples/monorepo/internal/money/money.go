// Package money does exact arithmetic on amounts of money.
//
// An amount is a whole number of minor units (cents) of one currency. There is
// no floating point anywhere, every operation that can overflow says so, and
// amounts of different currencies never mix.
package money

import (
	"math/bits"
	"strconv"
	"strings"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/sum"
)

// Currency is an ISO 4217 code in capital letters.
type Currency string

// The currencies in which the shop trades.
const (
	EUR Currency = "EUR"
	USD Currency = "USD"
	JPY Currency = "JPY"
)

var minorDigits = map[Currency]int{EUR: 2, USD: 2, JPY: 0}

// Digits returns the number of decimal places of the currency, and false for a
// currency in which the shop does not trade.
func (c Currency) Digits() (int, bool) {
	n, ok := minorDigits[c]
	return n, ok
}

// Amount is an amount of money. The zero value has no currency: it can be added
// to any amount, which makes it the start of a sum.
type Amount struct {
	// Minor is the number of minor units, negative for a debt.
	Minor    int64
	Currency Currency
}

// New returns an amount of minor units.
func New(minor int64, currency Currency) Amount { return Amount{minor, currency} }

// Parse reads an amount such as "12.50 EUR", "-3 USD" or "700 JPY". The number
// of decimal places may be smaller than that of the currency, never larger.
func Parse(s string) (Amount, error) {
	const op = "parse amount"
	number, code, found := strings.Cut(strings.TrimSpace(s), " ")
	if !found {
		return Amount{}, fault.New(fault.Invalid, op, "%q has no currency, write it as \"12.50 EUR\"", s)
	}
	currency := Currency(strings.TrimSpace(code))
	digits, ok := currency.Digits()
	if !ok {
		return Amount{}, fault.New(fault.Invalid, op, "%q: the shop does not trade in %q", s, currency)
	}
	whole, fraction, hasPoint := strings.Cut(number, ".")
	if hasPoint && (fraction == "" || len(fraction) > digits) {
		return Amount{}, fault.New(fault.Invalid, op, "%q: %s has %d decimal places", s, currency, digits)
	}
	for _, r := range fraction {
		if r < '0' || r > '9' {
			return Amount{}, fault.New(fault.Invalid, op, "%q is not a number", s)
		}
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return Amount{}, fault.New(fault.Invalid, op, "%q is not a number of at most 64 bits", s)
	}
	return Amount{minor, currency}, nil
}

// Parts returns the amount as a sign, the digits before and those after the
// decimal point.
func (a Amount) Parts() (negative bool, whole, fraction string) {
	digits, _ := a.Currency.Digits()
	// The absolute value of the smallest integer fits only into an unsigned one.
	magnitude := uint64(a.Minor)
	if a.Minor < 0 {
		magnitude = -magnitude
	}
	text := strconv.FormatUint(magnitude, 10)
	if missing := digits + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	return a.Minor < 0, text[:len(text)-digits], text[len(text)-digits:]
}

// String returns the form that [Parse] reads, such as "12.50 EUR".
func (a Amount) String() string {
	negative, whole, fraction := a.Parts()
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	b.WriteString(whole)
	if fraction != "" {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	if a.Currency != "" {
		b.WriteByte(' ')
		b.WriteString(string(a.Currency))
	}
	return b.String()
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [Parse].
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}

// IsZero says whether the amount is nothing, in any currency.
func (a Amount) IsZero() bool { return a.Minor == 0 }

// Neg returns the amount with the other sign.
func (a Amount) Neg() Amount { return Amount{-a.Minor, a.Currency} }

// Sum adds amounts of one currency.
func Sum(amounts ...Amount) (Amount, error) {
	var currency Currency
	minors := make([]int64, len(amounts))
	for i, a := range amounts {
		switch {
		case a.Currency == currency || a == Amount{}:
		case currency == "":
			currency = a.Currency
		default:
			return Amount{}, fault.New(fault.Invalid, "add amounts", "%s and %s do not mix", currency, a.Currency)
		}
		minors[i] = a.Minor
	}
	total, err := sum.Int64s(minors)
	if err != nil {
		return Amount{}, fault.Wrap("add amounts", err)
	}
	return Amount{total, currency}, nil
}

// Times returns the amount n times.
func (a Amount) Times(n int64) (Amount, error) {
	product, ok := mulDiv(a.Minor, n, 1)
	if !ok {
		return Amount{}, fault.New(fault.Invalid, "multiply amount", "%d times %s overflows 64 bits", n, a)
	}
	return Amount{product, a.Currency}, nil
}

// Rate returns a share of the amount in basis points (hundredths of a percent),
// rounded half to even, as accountants do.
func (a Amount) Rate(basisPoints int64) (Amount, error) {
	share, ok := mulDiv(a.Minor, basisPoints, 10_000)
	if !ok {
		return Amount{}, fault.New(fault.Invalid, "take a share", "%d basis points of %s overflow 64 bits", basisPoints, a)
	}
	return Amount{share, a.Currency}, nil
}

// Split divides the amount into n parts that differ by at most one minor unit,
// the larger ones first, and that add up to exactly the amount.
func (a Amount) Split(n int) ([]Amount, error) {
	if n < 1 {
		return nil, fault.New(fault.Invalid, "split amount", "cannot split %s into %d parts", a, n)
	}
	quotient, rest := a.Minor/int64(n), a.Minor%int64(n)
	step := int64(1)
	if rest < 0 {
		rest, step = -rest, -1
	}
	parts := make([]Amount, n)
	for i := range parts {
		parts[i] = Amount{quotient, a.Currency}
		if int64(i) < rest {
			parts[i].Minor += step
		}
	}
	return parts, nil
}

// mulDiv returns x*y/d, rounded half to even, by way of a 128-bit product. It
// returns false when the result does not fit into 64 bits. d is positive.
func mulDiv(x, y int64, d uint64) (int64, bool) {
	negative := (x < 0) != (y < 0)
	hi, lo := bits.Mul64(magnitude(x), magnitude(y))
	if hi >= d {
		return 0, false
	}
	quotient, rest := bits.Div64(hi, lo, d)
	if half := d - rest; rest > half || rest == half && quotient&1 == 1 {
		quotient++
	}
	if negative {
		return -int64(quotient), quotient <= 1<<63
	}
	return int64(quotient), quotient < 1<<63
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}
